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
        let failed = |words: String| {
            format!(
                "error forwarding port {port} to pod {}, uid {}: {words}",
                self.pod, self.uid
            )
        };
        let place = self
            .netns
            .as_ref()
            .map_or_else(|| "the host".to_owned(), |path| format!("{}", path.display()));
        let within = |words: String| {
            failed(format!(
                "failed to execute portforward in network namespace \"{place}\": failed to connect to localhost:{port} \
                 inside namespace: {words}"
            ))
        };
        let v4 = match self
            .dial(AddressFamily::Inet, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            .await
        {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        match self
            .dial(
                AddressFamily::Inet6,
                SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
            )
            .await
        {
            Ok(stream) => Ok(stream),
            Err(v6) => Err(within(format!("IPv4: {v4} IPv6: {v6}"))),
        }
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
