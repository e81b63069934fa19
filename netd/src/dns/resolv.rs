//! The node's own resolvers, from its `resolv.conf`, followed with inotify.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::netlink::readiness;

/// Resolvers that are asked, as resolv.conf(5) has it.
const MAX_SERVERS: usize = 3;

/// The name servers in a `resolv.conf`, without `ourselves`: asking ourselves would never end.
pub(super) fn parse(text: &str, ourselves: IpAddr) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            (words.next() == Some("nameserver")).then_some(())?;
            let address = words.next()?;
            // A link-local server has its interface behind a percent sign.
            let (address, scope) = address.split_once('%').map_or((address, ""), |(a, s)| (a, s));
            match address.parse().ok()? {
                ip if ip == ourselves => None,
                IpAddr::V6(v6) => {
                    let index = nix::net::if_::if_nametoindex(scope).unwrap_or(0);
                    Some(std::net::SocketAddrV6::new(v6, 53, 0, index).into())
                }
                IpAddr::V4(ip) => Some(SocketAddr::new(ip.into(), 53)),
            }
        })
        .take(MAX_SERVERS)
        .collect()
}

fn read(path: &Path, ourselves: IpAddr) -> Vec<SocketAddr> {
    match std::fs::read(path) {
        Ok(bytes) => parse(&String::from_utf8_lossy(&bytes), ourselves),
        Err(error) => {
            warn!(path = %path.display(), %error, "no upstream resolvers: names outside the cluster will not resolve");
            Vec::new()
        }
    }
}

/// Keeps `servers` as the file says, for ever.
pub(super) async fn follow(path: &Path, ourselves: IpAddr, servers: &watch::Sender<Vec<SocketAddr>>) {
    loop {
        // Watched before it is read, so that no change is missed.
        let watched = watch_places(path).and_then(|i| Ok((readiness(i.as_fd().try_clone_to_owned()?)?, i)));
        let found = read(path, ourselves);
        if servers.send_if_modified(|known| {
            *known != found && {
                known.clone_from(&found);
                true
            }
        }) {
            info!(servers = ?found, "upstream resolvers");
        }
        match watched {
            Ok((wake, inotify)) => {
                if let Err(error) = wait(&wake, &inotify, &names(path)).await {
                    warn!(%error, "resolv.conf is not watched any more");
                    return std::future::pending().await;
                }
            }
            Err(error) => {
                warn!(path = %path.display(), %error, "resolv.conf cannot be watched");
                return std::future::pending().await;
            }
        }
    }
}

/// The file, and what it is a link to: programs replace either.
fn places(path: &Path) -> Vec<PathBuf> {
    let mut all = vec![path.to_owned()];
    all.extend(std::fs::canonicalize(path).ok().filter(|p| p != path));
    all
}

fn names(path: &Path) -> Vec<OsString> {
    places(path)
        .iter()
        .filter_map(|p| p.file_name())
        .map(ToOwned::to_owned)
        .collect()
}

fn watch_places(path: &Path) -> io::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let flags = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CREATE;
    for directory in places(path).iter().filter_map(|p| p.parent()) {
        inotify.add_watch(directory, flags)?;
    }
    Ok(inotify)
}

async fn wait(
    wake: &tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
    inotify: &Inotify,
    names: &[OsString],
) -> io::Result<()> {
    loop {
        let mut ready = wake.readable().await?;
        ready.clear_ready();
        match inotify.read_events() {
            Ok(events) => {
                if events
                    .iter()
                    .any(|e| e.name.as_ref().is_some_and(|n| names.contains(n)))
                {
                    return Ok(());
                }
            }
            Err(nix::errno::Errno::EAGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 43, 0, 10));

    #[test]
    fn takes_name_servers_only() {
        let text = "# nameserver 1.1.1.1\nsearch a b\nnameserver 10.43.0.10\nnameserver\t192.0.2.1 # x\n\
                    nameserver junk\nnameserver fe80::1%lo\nnameserver\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        let servers: Vec<String> = parse(text, OURS).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "[fe80::1%1]:53", "192.0.2.2:53"]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = parse(&text, OURS);
        }
    }
}
