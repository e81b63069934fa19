//! An HTTP/1.1 server that answers every request with what it saw: the client, the request line, the headers and
//! the body, in the form of the well-known `echoserver:1.4`, after the name of its host, which in a pod is the
//! pod's name. A thread for each connection; everything that a client sends is bounded.

mod datagram;
mod request;
mod response;

use std::io::{self, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

use request::{Outcome, Request};

/// Most connections at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 1024;
/// Waits for a client that says nothing.
const IDLE: Duration = Duration::from_secs(75);
/// Enough for a request's buffers, which are on the heap.
const STACK: usize = 128 << 10;

fn main() -> io::Result<()> {
    exit_on_termination()?;
    let port = match std::env::args().nth(1).map(|port| port.parse()) {
        None => 8080,
        Some(Ok(port)) => port,
        Some(Err(error)) => return Err(io::Error::other(format!("usage: echoserver [PORT]: {error}"))),
    };
    let listener = listen(port)?;
    datagram::echo(port, STACK)?;
    println!("echoserver listens on {}", listener.local_addr()?);
    let host = Arc::new(host_name());
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        if open.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS {
            open.fetch_sub(1, Ordering::AcqRel);
            let _ = response::refuse(&stream, "503 Service Unavailable");
            continue;
        }
        let (host, open_here) = (host.clone(), open.clone());
        let started = thread::Builder::new().stack_size(STACK).spawn(move || {
            // A client that goes away is no event here.
            let _ = serve(&stream, &host);
            open_here.fetch_sub(1, Ordering::AcqRel);
        });
        if started.is_err() {
            open.fetch_sub(1, Ordering::AcqRel);
        }
    }
    Ok(())
}

/// The first process of a PID namespace ignores signals that it does not ask for.
fn exit_on_termination() -> io::Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    // Before any other thread exists, so that all inherit it.
    signals.thread_block()?;
    thread::Builder::new().stack_size(STACK).spawn(move || {
        if let Ok(signal) = signals.wait() {
            println!("echoserver ends: {signal}");
        }
        std::process::exit(0);
    })?;
    Ok(())
}

/// Both families where there are both.
fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port))
        .or_else(|_| TcpListener::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)))
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}

/// Answers requests until the client wants no more.
fn serve(stream: &TcpStream, host: &str) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    let client = stream.peer_addr()?.ip().to_canonical();
    let port = stream.local_addr()?.port();
    let mut reader = BufReader::new(stream);
    loop {
        match Request::read(&mut reader, &mut &*stream)? {
            Outcome::End => return Ok(()),
            Outcome::Refuse(status) => return response::refuse(stream, status),
            Outcome::Request(request) => {
                println!("{client} {} {}", request.method, request.target);
                (&*stream).write_all(&response::answer(&request, client, port, host))?;
                if !request.keep_alive {
                    return Ok(());
                }
            }
        }
    }
}
