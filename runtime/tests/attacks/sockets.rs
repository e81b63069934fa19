//! Control sockets as a host-network pod sees them (CVE-2020-15257): none abstract, and the others are root's alone.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use keelson_runtime::node::*;

use crate::support::Node;

/// Inodes of the sockets that processes of the shim's program hold.
fn shims_sockets() -> BTreeSet<String> {
    let mut inodes = BTreeSet::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let program = fs::read_link(process.path().join("exe")).unwrap_or_default();
        if !program.to_string_lossy().contains("memfd:keelson-shim") {
            continue;
        }
        for fd in fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let link = fs::read_link(fd.path()).unwrap_or_default();
            if let Some(inode) = link.to_str().and_then(|text| text.strip_prefix("socket:[")) {
                inodes.insert(inode.trim_end_matches(']').to_owned());
            }
        }
    }
    inodes
}

/// Inode and address of abstract sockets in a listing of `/proc/net/unix`.
fn abstract_sockets(listing: &str) -> Vec<(String, String)> {
    let fields = listing
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields
        .filter(|fields| fields.get(7).is_some_and(|address| address.starts_with('@')))
        .map(|fields| (fields[6].to_owned(), fields[7].to_owned()))
        .collect()
}

fn sockets_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(sockets_below(&entry.path()));
        } else if kind.is_socket() {
            found.push(entry.path());
        }
    }
    found
}

/// From inside: nothing abstract that is ours. From outside, as another user: nothing that lets itself be connected to.
#[test]
fn of_a_host_network_pod() {
    let node = Node::new();
    node.runtime
        .create_sandbox(&SandboxSpec {
            host_network: true,
            ..Node::sandbox("pod")
        })
        .unwrap();
    let main = node.container(&["sleep", "1000"]);
    node.runtime.create_container("pod", &main).unwrap();
    node.runtime.start_container(&main.id).unwrap();
    let shims = shims_sockets();
    assert!(
        !shims.is_empty(),
        "the shim has a socket: else this test sees nothing"
    );
    let (_, listing) = node.run_in("pod", &node.container(&["cat", "/proc/net/unix"]));
    assert!(
        listing.contains("shim.sock"),
        "the listing is the host's: {listing}"
    );
    for (inode, address) in abstract_sockets(&listing) {
        assert!(!shims.contains(&inode), "the shim listens on {address}");
        assert!(
            !address.contains("keelson") && !address.contains("shim"),
            "{address}"
        );
    }
    let sockets = sockets_below(&node.config.run_dir);
    assert!(!sockets.is_empty());
    for socket in sockets {
        for (uid, expected) in [(0, true), (1000, false)] {
            let reachable = reach(uid, &socket);
            assert_eq!(reachable, expected, "{} as uid {uid}", socket.display());
        }
        let parent = fs::metadata(socket.parent().unwrap()).unwrap();
        assert_eq!(parent.mode() & 0o077, 0);
    }
}

/// Whether a process of this user can open the socket's inode for writing, which connecting needs.
fn reach(uid: u32, socket: &Path) -> bool {
    let status = Command::new("/usr/bin/setpriv")
        .args([
            &format!("--reuid={uid}"),
            &format!("--regid={uid}"),
            "--clear-groups",
            "test",
            "-w",
        ])
        .arg(socket)
        .status();
    status.unwrap().success()
}

/// The search finds an abstract socket where there is one.
#[test]
fn control() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let name = format!("keelson-attack-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let listing = fs::read_to_string("/proc/net/unix").unwrap();
    assert!(
        abstract_sockets(&listing)
            .iter()
            .any(|(_, address)| address.contains(&name))
    );
}
