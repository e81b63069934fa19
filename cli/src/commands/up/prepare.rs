//! What must be on disk before the daemons start.

use std::fs::DirBuilder;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine;
use keelson_control::pki;

use crate::args::Up;
use crate::cluster::{Cluster, Etcd, Ranges, check_owner, id_of, run_dir_of, write_atomically};

/// The cluster in `dir`: the one that is there with this call's options applied, or a new one.
pub fn cluster(args: &Up, dir: &Path) -> Result<Cluster> {
    let existing = Cluster::load(dir)?;
    let run_dir = run_dir_of(&id_of(dir));
    create(&run_dir, 0o711)?;
    check_owner(&run_dir, dir)?;
    write_atomically(&run_dir.join("data-dir"), dir.as_os_str().as_encoded_bytes())?;
    let ranges = match &existing {
        Some(cluster) => cluster.ranges,
        None => choose_ranges(dir)?,
    };
    write_atomically(&run_dir.join("ranges.json"), &serde_json::to_vec(&ranges)?)?;
    let default_listen = SocketAddr::from(([127, 0, 0, 1], 6443));
    let listen = args
        .listen
        .or(existing.as_ref().map(|c| c.listen))
        .unwrap_or(default_listen);
    let node_name = match (&args.node_name, &existing) {
        (Some(name), _) => name.clone(),
        (None, Some(cluster)) => cluster.node_name.clone(),
        (None, None) => host_name()?,
    };
    let kubeconfig = match (&args.kubeconfig, &existing) {
        (Some(path), _) => std::path::absolute(path)?,
        (None, Some(cluster)) => cluster.kubeconfig.clone(),
        (None, None) => dir.join("admin.kubeconfig"),
    };
    let node_ip = args
        .node_ip
        .or(existing.as_ref().map(|c| c.node_ip))
        .unwrap_or_else(|| node_ip(listen, ranges));
    check_node_ip(node_ip, ranges)?;
    let cluster = Cluster {
        dir: dir.to_owned(),
        node_name,
        node_ip,
        listen,
        ranges,
        kubeconfig,
        etcd: Etcd::choose(&args.etcd, existing.and_then(|cluster| cluster.etcd))?,
    };
    cluster.save()?;
    Ok(cluster)
}

/// Certificates, kubeconfigs and directories. Keys that exist are kept.
pub fn files(cluster: &Cluster) -> Result<()> {
    for dir in [
        cluster.log_dir(),
        cluster.dir.join("control"),
        cluster.dir.join("netd"),
    ] {
        create(&dir, 0o700)?;
    }
    let pki_dir = cluster.pki_dir();
    pki::ensure(&pki_dir, &cluster.pki())?;
    let url = cluster.server_url();
    let node = format!("kubelet-{}", cluster.node_name);
    if cluster.kubeconfig.exists() && !is_kubeconfig_of(cluster, &cluster.kubeconfig) {
        bail!(
            "{} exists and is not a kubeconfig of this cluster; choose another file with --kubeconfig",
            cluster.kubeconfig.display()
        );
    }
    if let Some(parent) = cluster.kubeconfig.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    }
    let kubeconfigs: [(PathBuf, &str, &str); 3] = [
        (cluster.kubeconfig.clone(), "admin", "kubernetes-admin"),
        (cluster.daemon_kubeconfig("kubelet"), &node, "kubelet"),
        (cluster.daemon_kubeconfig("netd"), "netd", "netd"),
    ];
    for (path, certificate, user) in &kubeconfigs {
        pki::write_kubeconfig(path, &url, &pki_dir, certificate, user)?;
    }
    Ok(())
}

/// Whether a file is a kubeconfig for this cluster: it names this cluster's authority.
pub fn is_kubeconfig_of(cluster: &Cluster, path: &Path) -> bool {
    let Ok(authority) = std::fs::read(cluster.pki_dir().join("ca.crt")) else {
        return false;
    };
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    std::fs::read_to_string(path).is_ok_and(|text| text.contains(&authority))
}

/// Ranges are chosen under a machine-wide lock and registered before it is released, so that two clusters that start
/// at once do not take the same.
fn choose_ranges(dir: &Path) -> Result<Ranges> {
    // The directory itself is locked, so that no lock file is left behind.
    let run = std::fs::File::open("/run").context("opening /run")?;
    let _lock = nix::fcntl::Flock::lock(run, nix::fcntl::FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .context("locking /run")?;
    let id = id_of(dir);
    let Some(ranges) = Ranges::choose(Path::new("/run"), &id) else {
        bail!(
            "no free address range: every candidate in 10.0.0.0/8 overlaps a route of this machine (see: ip route)"
        )
    };
    write_atomically(
        &run_dir_of(&id).join("ranges.json"),
        &serde_json::to_vec(&ranges)?,
    )?;
    Ok(ranges)
}

/// A cluster whose API listens on loopback is for this machine only, so its kubelet listens on the pod bridge and
/// nothing appears on the local network. Otherwise the address of the default route.
fn node_ip(listen: SocketAddr, ranges: Ranges) -> IpAddr {
    if listen.ip().is_loopback() {
        return ranges.first_gateway();
    }
    if !listen.ip().is_unspecified() {
        return listen.ip();
    }
    // Connecting a UDP socket sends nothing; it only asks for the route (192.0.2.0/24 is for documentation).
    UdpSocket::bind("0.0.0.0:0")
        .and_then(|socket| socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()))
        .map_or_else(|_| ranges.first_gateway(), |address| address.ip())
}

/// Refuses what upstream's kubelet refuses (`validateNodeIP`). What only this machine can reach would mean every machine to
/// itself in a node's status, and so the API server dials no such address: there would be neither logs nor exec.
fn check_node_ip(ip: IpAddr, ranges: Ranges) -> Result<()> {
    let address = ip.to_canonical();
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let what = if address.is_loopback() {
        "a loopback address"
    } else if link_local {
        "a link-local address"
    } else if address.is_multicast() {
        "a multicast address"
    } else if address.is_unspecified() {
        "no address of one machine"
    } else {
        return Ok(());
    };
    bail!(
        "the node cannot have the IP {ip}, which is {what}; give another one with --node-ip: {}, on the pod bridge, is one \
         that only this machine reaches",
        ranges.first_gateway()
    )
}

fn host_name() -> Result<String> {
    let name = nix::unistd::gethostname().context("reading the host name")?;
    Ok(name.to_string_lossy().to_ascii_lowercase())
}

fn create(dir: &Path, mode: u32) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(dir)
        .with_context(|| format!("creating {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_address_is_one_that_can_be_dialled() {
        let ranges = Ranges { network: 42 };
        for (ip, what) in [
            ("127.0.0.1", "loopback"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("169.254.3.4", "link-local"),
            ("fe80::1", "link-local"),
            ("224.0.0.1", "multicast"),
            ("0.0.0.0", "no address"),
            ("::", "no address"),
        ] {
            let message = check_node_ip(ip.parse().unwrap(), ranges)
                .unwrap_err()
                .to_string();
            assert!(
                message.contains(what) && message.contains("--node-ip"),
                "{message}"
            );
        }
        for ip in ["10.42.0.1", "192.168.1.1", "fd00::1", "2001:db8::1"] {
            check_node_ip(ip.parse().unwrap(), ranges).unwrap();
        }
        check_node_ip(node_ip("127.0.0.1:6443".parse().unwrap(), ranges), ranges).unwrap();
    }
}
