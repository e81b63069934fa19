//! Addresses and ranges of addresses that are not written as they should be.

use std::fmt::Arguments;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keelson_api::status::go_quote;
use serde_json::Value;

/// Of each address of a list at a path.
pub(super) fn list(warnings: &mut Vec<String>, path: Arguments<'_>, list: &[Value]) {
    for (index, one) in list.iter().enumerate() {
        address(
            warnings,
            format_args!("{path}[{index}]"),
            one.as_str().unwrap_or_default(),
        );
    }
}

/// Of an address (`GetWarningsForIP`).
pub(super) fn address(warnings: &mut Vec<String>, path: Arguments<'_>, written: &str) {
    let Ok(IpAddr::V6(address)) = written.parse() else {
        return;
    };
    let canonical = Ipv6Addr::to_string(&address);
    if let Some(mapped) = address.to_ipv4_mapped() {
        warnings.push(format!(
            "{path}: non-standard IP address \"{written}\" will be considered invalid in a future Kubernetes release: use \
             \"{mapped}\""
        ));
    } else if canonical != written {
        warnings.push(format!(
            "{path}: IPv6 address \"{written}\" should be in RFC 5952 canonical format (\"{canonical}\")"
        ));
    }
}

/// Of a range (`GetWarningsForCIDR`). What is no range is an error, which is told elsewhere.
pub(super) fn range(warnings: &mut Vec<String>, path: Arguments<'_>, written: &str) {
    let Some((address, bits)) = parse(written) else {
        return;
    };
    let (network, single) = forms(address, bits);
    let shown = go_quote(written);
    let before = warnings.len();
    if first(address, bits) != address {
        warnings.push(format!(
            "{path}: CIDR value {shown} is ambiguous in this context (should be \"{network}\" or \"{single}\"?)"
        ));
    }
    let IpAddr::V6(six) = address else { return };
    if six.to_ipv4_mapped().is_some() {
        warnings.push(format!(
            "{path}: non-standard CIDR value {shown} will be considered invalid in a future Kubernetes release: use \
             \"{network}\""
        ));
    } else if warnings.len() == before && network != written {
        warnings.push(format!(
            "{path}: IPv6 CIDR value {shown} should be in RFC 5952 canonical format (\"{network}\")"
        ));
    }
}

fn parse(written: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = written.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse().ok().filter(|bits| *bits <= most)?;
    Some((address, bits))
}

/// The first address of the network that an address is in.
fn first(address: IpAddr, bits: u32) -> IpAddr {
    // A shift by all bits is none in Rust.
    match address {
        IpAddr::V4(four) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            Ipv4Addr::from(u32::from(four) & mask).into()
        }
        IpAddr::V6(six) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            Ipv6Addr::from(u128::from(six) & mask).into()
        }
    }
}

/// The network and the network of one address, as Go writes them: an address of IPv4 within IPv6 as one of IPv4.
fn forms(address: IpAddr, bits: u32) -> (String, String) {
    let of_four = |address: IpAddr| match address {
        IpAddr::V6(six) => six.to_ipv4_mapped(),
        IpAddr::V4(_) => None,
    };
    let network = first(address, bits);
    let network = match of_four(network) {
        Some(four) => format!("{four}/{}", bits.saturating_sub(96)),
        None => format!("{network}/{bits}"),
    };
    let all = if address.is_ipv4() { 32 } else { 128 };
    let single = match of_four(address) {
        Some(four) => format!("{four}/{all}"),
        None => format!("{address}/{all}"),
    };
    (network, single)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_are_not_written_as_they_should_be() {
        let warned = |written: &str| {
            let mut warnings = Vec::new();
            range(&mut warnings, format_args!("p"), written);
            warnings
        };
        for good in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "10.0.0.1/32",
            "2001:db8::/64",
            "::/0",
            "x",
            " 10.0.0.1/8",
            "10.0.0.0/33",
        ] {
            assert_eq!(warned(good), Vec::<String>::new(), "{good}");
        }
        for (written, told) in [
            (
                "10.1.2.3/8",
                "CIDR value \"10.1.2.3/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.1.2.3/32\"?)",
            ),
            (
                "2001:db8::1/64",
                "CIDR value \"2001:db8::1/64\" is ambiguous in this context (should be \"2001:db8::/64\" or \
                 \"2001:db8::1/128\"?)",
            ),
            (
                "2001:0db8::/64",
                "IPv6 CIDR value \"2001:0db8::/64\" should be in RFC 5952 canonical format (\"2001:db8::/64\")",
            ),
            (
                "::ffff:10.0.0.0/104",
                "non-standard CIDR value \"::ffff:10.0.0.0/104\" will be considered invalid in a future Kubernetes release: \
                 use \"10.0.0.0/8\"",
            ),
        ] {
            assert_eq!(warned(written), [format!("p: {told}")]);
        }
    }
}
