//! Kernel parameters of the calling thread's network namespace, under `/proc/sys/net`.

use std::fs;
use std::io;

use super::Error;

/// Lets the node forward packets, which a pod network cannot do without. Host-wide and left on by reset: others may
/// rely on it by then.
pub(crate) fn enable_forwarding(ipv6: bool) -> Result<(), Error> {
    set("ipv4/ip_forward", "1")?;
    if ipv6 {
        set("ipv6/conf/all/forwarding", "1")?;
    }
    Ok(())
}

/// Settings of the node's end of a pod's pair.
pub(super) fn node_end(interface: &str, ipv6: bool) -> Result<(), Error> {
    // Strict reverse path: a second lock behind the nftables rule, which holds when the tables are gone.
    set(&format!("ipv4/conf/{interface}/rp_filter"), "1")?;
    // Lets the node's own programs reach node ports on 127.0.0.1; packets of pods to 127.0.0.0/8 are dropped by a rule.
    set(&format!("ipv4/conf/{interface}/route_localnet"), "1")?;
    if ipv6 {
        optional(&format!("ipv6/conf/{interface}/accept_ra"), "0")
    } else {
        // No link-local address, so nothing of the node is reachable from pods over IPv6.
        optional(&format!("ipv6/conf/{interface}/disable_ipv6"), "1")
    }
}

/// Settings inside the pod.
pub(super) fn pod_end() -> Result<(), Error> {
    // The only way out is the default route; nobody may talk the pod into another.
    set("ipv4/conf/eth0/accept_redirects", "0")?;
    optional("ipv6/conf/eth0/accept_ra", "0")
}

fn set(key: &str, value: &str) -> Result<(), Error> {
    let path = format!("/proc/sys/net/{key}");
    // Not written when right already: /proc/sys may be read-only where an operator has set it.
    if fs::read_to_string(&path).is_ok_and(|now| now.trim() == value) {
        return Ok(());
    }
    fs::write(&path, value).map_err(|source| Error::Io {
        what: format!("set {path} to {value}"),
        source,
    })
}

/// As [`set`], but a kernel without the parameter (IPv6 compiled out or disabled) is fine.
fn optional(key: &str, value: &str) -> Result<(), Error> {
    match set(key, value) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
