//! What the node's way out of the cluster can carry.

use netlink_packet_route::link::LinkAttribute;

use super::{bridge, request};

/// MTU of the interface of the IPv4 default route: pods get the same, so that nothing of theirs is fragmented or lost
/// on the way out. `None` (the kernel's default of 1,500) without a default route.
pub(crate) fn mtu() -> Option<u32> {
    let table = std::fs::read_to_string("/proc/thread-self/net/route").ok()?;
    let interface = default_interface(&table)?;
    let link = request::find(&mut bridge::open().ok()?, interface).ok()??;
    link.attributes.iter().find_map(|a| match a {
        LinkAttribute::Mtu(mtu) => Some(*mtu),
        _ => None,
    })
}

/// Interface of the first default route in `/proc/net/route`: name, destination and, as eighth field, the mask.
fn default_interface(table: &str) -> Option<&str> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        (fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000")).then(|| fields[0])
    })
}

#[cfg(test)]
mod tests {
    use super::default_interface;

    #[test]
    fn finds_the_default_route() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n\
                     kl-x\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\n\
                     eth7\t00000000\t0101000A\t0003\t0\t0\t0\t00000000\t0\n";
        assert_eq!(default_interface(table), Some("eth7"));
        assert_eq!(default_interface("Iface\ngarbage\n\n"), None);
    }
}
