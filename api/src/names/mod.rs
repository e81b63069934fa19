//! Formats of names, label keys and values, ports, with the texts of `k8s.io/apimachinery/pkg/util/validation`.
//!
//! Every check returns the complaints, none when the text is good.

#[cfg(test)]
mod tests;
mod text;

use text::regex_error;
pub use text::{
    dns1035_label, dns1123_label, dns1123_subdomain, is_dns1123_label, is_dns1123_subdomain,
    wildcard_dns1123_subdomain,
};

/// A list of complaints; empty is good.
pub type Complaints = Vec<String>;
/// A check of a name.
pub type Rule = fn(&str) -> Complaints;

/// `must be no more than N bytes`.
pub fn max_len(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

/// `must be between A and B, inclusive`.
pub fn range(low: i64, high: i64) -> String {
    format!("must be between {low} and {high}, inclusive")
}

/// Text for a negative number.
pub const NON_NEGATIVE: &str = "must be greater than or equal to 0";
/// Text for a field that may not change.
pub const IMMUTABLE: &str = "field is immutable";

const NAME_FORMAT: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const NAME_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

fn is_name_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() && bytes.iter().all(inner)
        }
        _ => false,
    }
}

/// A label or annotation key, a finalizer, a condition type: `[prefix/]name`.
pub fn qualified_name(text: &str) -> Complaints {
    let mut complaints = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                complaints.push("prefix part must be non-empty".to_owned());
            } else {
                complaints.extend(
                    dns1123_subdomain(prefix)
                        .iter()
                        .map(|text| format!("prefix part {text}")),
                );
            }
            name
        }
        _ => {
            let rule = regex_error(NAME_RULE, NAME_FORMAT, &["MyName", "my.name", "123-abc"]);
            return vec![format!(
                "a qualified name {rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        complaints.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        complaints.push(format!("name part {}", max_len(63)));
    }
    if !is_name_part(name) {
        let rule = regex_error(NAME_RULE, NAME_FORMAT, &["MyName", "my.name", "123-abc"]);
        complaints.push(format!("name part {rule}"));
    }
    complaints
}

/// A label value; may be empty.
pub fn label_value(text: &str) -> Complaints {
    let mut complaints = Vec::new();
    if text.len() > 63 {
        complaints.push(max_len(63));
    }
    if !text.is_empty() && !is_name_part(text) {
        complaints.push(regex_error(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character",
            "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
            &["MyValue", "my_value", "12345"],
        ));
    }
    complaints
}

/// A port number.
pub fn port_number(port: i64) -> Complaints {
    if (1..=65535).contains(&port) {
        Vec::new()
    } else {
        vec![range(1, 65535)]
    }
}

/// An IANA service name, as container ports are named.
pub fn port_name(text: &str) -> Complaints {
    let mut complaints = Vec::new();
    if text.len() > 15 {
        complaints.push(max_len(15));
    }
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.is_empty() || !text.bytes().all(allowed) {
        complaints.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        complaints.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        complaints.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        complaints.push("must not begin or end with a hyphen".to_owned());
    }
    complaints
}

/// An environment variable's name, by the relaxed rule (default since 1.32): printable ASCII but `=`.
pub fn env_var_name(text: &str) -> Complaints {
    if !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=') {
        Vec::new()
    } else {
        vec![
            "a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned(),
        ]
    }
}

/// A key in a ConfigMap or Secret: a file name.
pub fn config_map_key(text: &str) -> Complaints {
    let mut complaints = Vec::new();
    if text.len() > 253 {
        complaints.push(max_len(253));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.is_empty() || !text.bytes().all(allowed) {
        complaints.push(regex_error(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match text {
        "." => complaints.push("must not be '.'".to_owned()),
        ".." => complaints.push("must not be '..'".to_owned()),
        _ if text.starts_with("..") => complaints.push("must not start with '..'".to_owned()),
        _ => {}
    }
    complaints
}

/// An HTTP header name.
pub fn http_header_name(text: &str) -> Complaints {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Vec::new();
    }
    vec![regex_error(
        "a valid HTTP header must consist of alphanumeric characters or '-'",
        "[-A-Za-z0-9]+",
        &["X-Header-Name"],
    )]
}

/// A name that need only be one path segment, as RBAC's.
pub fn path_segment(text: &str) -> Complaints {
    if text == "." || text == ".." {
        return vec![format!("may not be '{text}'")];
    }
    ["/", "%"]
        .into_iter()
        .filter(|illegal| text.contains(illegal))
        .map(|illegal| format!("may not contain '{illegal}'"))
        .collect()
}

/// An IP address.
pub fn ip(text: &str) -> Complaints {
    match text.parse::<std::net::IpAddr>() {
        Ok(_) => Vec::new(),
        Err(_) => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
    }
}

/// An IP address where traffic can go to from anywhere (`ValidateNonSpecialIP`).
pub fn endpoint_ip(text: &str) -> Complaints {
    let Ok(address) = text.parse::<std::net::IpAddr>() else {
        return ip(text);
    };
    let (link_local, link_local_multicast) = match address {
        std::net::IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        std::net::IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            (first & 0xffc0 == 0xfe80, first & 0xff0f == 0xff02)
        }
    };
    let mut complaints = Vec::new();
    if address.is_unspecified() {
        complaints.push(format!("may not be unspecified ({text})"));
    }
    if address.is_loopback() {
        complaints.push("may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned());
    }
    if link_local {
        complaints.push("may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned());
    }
    if link_local_multicast {
        complaints.push("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned());
    }
    complaints
}

/// A network, `address/bits`.
pub fn cidr(text: &str) -> Complaints {
    let good = text.split_once('/').is_some_and(|(address, bits)| {
        let digits = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
        match (address.parse::<std::net::IpAddr>(), bits.parse::<u8>()) {
            (Ok(address), Ok(bits)) => digits && bits <= if address.is_ipv4() { 32 } else { 128 },
            _ => false,
        }
    });
    if good {
        Vec::new()
    } else {
        vec!["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".to_owned()]
    }
}
