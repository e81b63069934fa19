//! Percent-encoding of path segments and query values (RFC 3986, unreserved characters and `:` kept).

use std::fmt::Write;

/// Encodes one path segment or query value. RBAC names such as `system:node` keep their colon.
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                out.push(byte as char);
            }
            // Writing to a String cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn keeps_names_and_encodes_the_rest() {
        assert_eq!(super::segment("system:kube-dns.v1_~"), "system:kube-dns.v1_~");
        assert_eq!(super::segment("a b/c%é"), "a%20b%2Fc%25%C3%A9");
    }
}
