//! The node's own resolvers, from its `resolv.conf`, followed with inotify.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::netlink::readiness;

/// Resolvers that are asked, as resolv.conf(5) has it.
const MAX_SERVERS: usize = 3;
/// Until the next look at a file that is not there, or cannot be watched: its directory may not be there either, and what
/// comes first, at any component of the path, is not worth following.
const AGAIN: Duration = Duration::from_secs(3);

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

/// Keeps `servers` as the file says, for ever.
pub(super) async fn follow(path: &Path, ourselves: IpAddr, servers: &watch::Sender<Vec<SocketAddr>>) {
    let mut said = String::new();
    loop {
        // Watched before it is read, so that no change is missed.
        let places = places(path);
        let watched = watch_places(&places);
        let read = std::fs::read(path);
        let found = read.as_ref().map_or_else(
            |_| Vec::new(),
            |bytes| parse(&String::from_utf8_lossy(bytes), ourselves),
        );
        let changed = servers.send_if_modified(|known| {
            *known != found && {
                known.clone_from(&found);
                true
            }
        });
        if changed {
            info!(servers = ?found, "upstream resolvers");
        }
        let problem = match (&read, &watched) {
            (Err(error), _) => {
                format!("no upstream resolvers, names outside the cluster will not resolve: {error}")
            }
            (_, Err(error)) => format!("cannot be watched, is read again and again: {error}"),
            _ => String::new(),
        };
        if !problem.is_empty() && problem != said {
            warn!(path = %path.display(), "{problem}");
        }
        // At boot it leads to a file that the node's resolver makes later, in a directory that it makes, too.
        let certain = problem.is_empty() && self::places(path) == places;
        said = problem;
        let change = async {
            match watched {
                Ok(Watched { wake, inotify }) => wait(&wake, &inotify, &places).await,
                Err(error) => Err(error),
            }
        };
        let broken = if certain {
            change.await.is_err()
        } else {
            matches!(tokio::time::timeout(AGAIN, change).await, Ok(Err(_)))
        };
        if broken {
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// The file, and what it is a link to: programs replace either.
fn places(path: &Path) -> Vec<PathBuf> {
    let mut all = vec![path.to_owned()];
    all.extend(std::fs::canonicalize(path).ok().filter(|p| p != path));
    all
}

struct Watched {
    wake: AsyncFd<OwnedFd>,
    inotify: Inotify,
}

fn watch_places(places: &[PathBuf]) -> io::Result<Watched> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let flags = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CREATE;
    for directory in places.iter().filter_map(|p| p.parent()) {
        inotify.add_watch(directory, flags)?;
    }
    let wake = readiness(inotify.as_fd().try_clone_to_owned()?)?;
    Ok(Watched { wake, inotify })
}

/// Resolves when one of the places may have changed.
async fn wait(wake: &AsyncFd<OwnedFd>, inotify: &Inotify, places: &[PathBuf]) -> io::Result<()> {
    let ours = |name: &OsString| places.iter().any(|place| place.file_name() == Some(name));
    loop {
        let mut ready = wake.readable().await?;
        ready.clear_ready();
        match inotify.read_events() {
            // One without a name tells that a directory is gone, or that events were lost.
            Ok(events) if events.iter().any(|e| e.name.as_ref().is_none_or(ours)) => return Ok(()),
            Ok(_) | Err(nix::errno::Errno::EAGAIN) => {}
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

    async fn become_known(servers: &watch::Sender<Vec<SocketAddr>>, wanted: &str) {
        let known = |servers: &Vec<SocketAddr>| servers.iter().map(ToString::to_string).eq([wanted]);
        drop(servers.subscribe().wait_for(known).await.unwrap());
    }

    #[tokio::test]
    async fn a_resolver_that_starts_later_is_found_and_its_restart_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, run) = (dir.path().join("resolv.conf"), dir.path().join("run/resolve"));
        std::os::unix::fs::symlink("run/resolve/stub.conf", &path).unwrap();
        let start = |text: &str| {
            std::fs::create_dir_all(&run).unwrap();
            std::fs::write(run.join("stub.conf"), text).unwrap();
        };
        let servers = watch::Sender::new(Vec::new());
        let test = async {
            // `follow` has looked once and waits by now: it comes first.
            start("nameserver 192.0.2.1");
            become_known(&servers, "192.0.2.1:53").await;
            std::fs::remove_dir_all(&run).unwrap();
            start("nameserver 192.0.2.2");
            become_known(&servers, "192.0.2.2:53").await;
        };
        tokio::select! {
            biased;
            () = follow(&path, OURS, &servers) => panic!("it gave up"),
            () = test => {}
            // Only so that the test fails instead of standing still.
            () = tokio::time::sleep(Duration::from_secs(30)) => panic!("{:?}", servers.borrow()),
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = parse(&text, OURS);
        }
    }
}
