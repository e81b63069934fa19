//! DNS names, and how upstream words a failed regular expression. No regular expression engine is needed for these.

use super::{Complaints, max_len};

/// `rule (e.g. 'a',  or 'b', regex used for validation is 'format')`, spaced as upstream spaces it.
pub(super) fn regex_error(rule: &str, format: &str, examples: &[&str]) -> String {
    let mut out = rule.to_owned();
    out.push_str(" (");
    for (index, example) in examples.iter().enumerate() {
        out.push_str(if index == 0 { "e.g. " } else { " or " });
        out.push('\'');
        out.push_str(example);
        out.push_str("', ");
    }
    out.push_str("regex used for validation is '");
    out.push_str(format);
    out.push_str("')");
    out
}

fn is_label_of_any_length(text: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            alphanumeric(first) && alphanumeric(last) && bytes.iter().all(|b| alphanumeric(b) || *b == b'-')
        }
        _ => false,
    }
}

fn is_subdomain_of_any_length(text: &str) -> bool {
    text.split('.').all(is_label_of_any_length)
}

/// Whether the text is a DNS-1123 label.
pub fn is_dns1123_label(text: &str) -> bool {
    text.len() <= 63 && is_label_of_any_length(text)
}

/// Whether the text is a DNS-1123 subdomain.
pub fn is_dns1123_subdomain(text: &str) -> bool {
    text.len() <= 253 && is_subdomain_of_any_length(text)
}

/// A DNS-1123 label: namespaces, containers, volumes.
pub fn dns1123_label(text: &str) -> Complaints {
    let mut complaints = Vec::new();
    if text.len() > 63 {
        complaints.push(max_len(63));
    }
    if !is_label_of_any_length(text) {
        complaints.push(if is_subdomain_of_any_length(text) {
            "must not contain dots".to_owned()
        } else {
            regex_error(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
                 and end with an alphanumeric character",
                "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
                &["my-name", "123-abc"],
            )
        });
    }
    complaints
}

/// A DNS-1123 subdomain: most object names.
pub fn dns1123_subdomain(text: &str) -> Complaints {
    let mut complaints = Vec::new();
    if text.len() > 253 {
        complaints.push(max_len(253));
    }
    if !is_subdomain_of_any_length(text) {
        complaints.push(regex_error(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character",
            r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
            &["example.com"],
        ));
    }
    complaints
}

/// A DNS-1035 label: Services.
pub fn dns1035_label(text: &str) -> Complaints {
    let mut complaints = Vec::new();
    if text.len() > 63 {
        complaints.push(max_len(63));
    }
    if !is_label_of_any_length(text) || text.starts_with(|c: char| c.is_ascii_digit()) {
        complaints.push(regex_error(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
             character, and end with an alphanumeric character",
            "[a-z]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "abc-123"],
        ));
    }
    complaints
}

/// A DNS-1123 subdomain with a star for its first part.
pub fn wildcard_dns1123_subdomain(text: &str) -> Complaints {
    let good = text
        .strip_prefix("*.")
        .is_some_and(|rest| rest.len() <= 251 && is_subdomain_of_any_length(rest));
    if good {
        return Vec::new();
    }
    vec![regex_error(
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of \
         lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
        "\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
        &["*.example.com"],
    )]
}
