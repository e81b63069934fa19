//! Connecting to a port of a pod on its loopback.
//!
//! A socket belongs to the network namespace of the thread that makes it, and stays there. So a thread of its own,
//! which ends right after, enters the namespace and makes sockets; they are connected here.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;

/// Where to connect.
#[derive(Debug, Clone)]
pub(super) struct Dialer {
    /// The pod's network namespace; `None` on the host's network.
    pub netns: Option<PathBuf>,
    /// For messages.
    pub pod: String,
    /// For messages.
    pub uid: String,
}

impl Dialer {
    /// Connects to `port` on 127.0.0.1, or on ::1 if nobody listens there.
    pub(super) async fn connect(&self, port: u16) -> Result<TcpStream, String> {
        let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let first = match self.dial(AddressFamily::Inet, v4).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        let second = match self.dial(AddressFamily::Inet6, v6).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let place = self
            .netns
            .as_ref()
            .map_or_else(|| "host".to_owned(), |path| path.display().to_string());
        Err(format!(
            "error forwarding port {port} to pod {}, uid {}: failed to execute portforward in network namespace \
             {place:?}: failed to connect to localhost:{port} inside namespace {place:?}, IPv4: dial tcp4 {v4}: {} \
             IPv6: dial tcp6 {v6}: {}",
            self.pod,
            self.uid,
            words(&first),
            words(&second)
        ))
    }

    async fn dial(&self, family: AddressFamily, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = std::net::TcpStream::from(self.socket(family).await?);
        let stream = TcpSocket::from_std_stream(socket).connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn socket(&self, family: AddressFamily) -> io::Result<OwnedFd> {
        let (sender, receiver) = oneshot::channel();
        let netns = self.netns.clone();
        std::thread::Builder::new()
            .name("portforward".to_owned())
            .stack_size(64 << 10)
            .spawn(move || {
                let made = || -> io::Result<OwnedFd> {
                    if let Some(path) = netns {
                        setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?;
                    }
                    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
                    Ok(socket(family, SockType::Stream, flags, None)?)
                };
                // Nobody waits any more: the socket is closed.
                let _ = sender.send(made());
            })?;
        receiver
            .await
            .map_err(|_| io::Error::other("the thread in the namespace ended"))?
    }
}

/// An error as Go words it, which is what tools look for: `connect: connection refused`.
fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!(
            "connect: {}",
            nix::errno::Errno::from_raw(number).desc().to_lowercase()
        ),
        None => error.to_string(),
    }
}
