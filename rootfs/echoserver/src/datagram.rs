//! The same port over UDP: every datagram goes back to its sender.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;

/// Starts the echo in a thread of its own.
pub fn echo(port: u16, stack: usize) -> io::Result<()> {
    let socket = UdpSocket::bind(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port))
        .or_else(|_| UdpSocket::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)))?;
    thread::Builder::new().stack_size(stack).spawn(move || {
        let mut buffer = [0; 2048];
        loop {
            // An error belongs to one datagram (its sender is gone), not to the socket.
            if let Ok((length, sender)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..length], sender);
            }
        }
    })?;
    Ok(())
}
