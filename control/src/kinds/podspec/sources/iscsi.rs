//! iSCSI: names of targets and initiators, and what a PersistentVolume must say besides.

use keelson_api::status::FieldError;
use serde_json::Value;
use std::fmt::Arguments;

use super::{need, unit};
use crate::kinds::json::{is_true, text};

/// Most bytes of a volume's name, a colon and its portal where the initiator has a name: both become an interface's name.
const LONGEST_INTERFACE: usize = 64;

/// Complaints about a source of a pod, or of the PersistentVolume of this name.
pub(super) fn check(errors: &mut Vec<FieldError>, source: &Value, path: Arguments<'_>, volume: Option<&str>) {
    need(errors, source, "targetPortal", path);
    let initiator = source.get("initiatorName").and_then(Value::as_str);
    let portal = text(source, "/targetPortal");
    if let (Some(volume), Some(_)) = (volume, initiator)
        && volume.len() + 1 + portal.len() > LONGEST_INTERFACE
    {
        let detail = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is \
                      specified.";
        // Upstream writes these two names of fields in small letters.
        errors.push(FieldError::invalid(
            format!("{path}.targetportal"),
            portal,
            detail,
        ));
    }
    need(errors, source, "iqn", path);
    let target = text(source, "/iqn");
    if !target.is_empty() {
        name(errors, target, format_args!("{path}.iqn"), volume.is_some());
    }
    unit(errors, source, path);
    let secret = source.get("secretRef").filter(|secret| secret.is_object());
    let authenticates = is_true(source, "/chapAuthDiscovery") || is_true(source, "/chapAuthSession");
    if authenticates && secret.is_none() {
        errors.push(FieldError::required(format!("{path}.secretRef"), ""));
    }
    if let (Some(secret), Some(_)) = (secret, volume) {
        need(errors, secret, "name", format_args!("{path}.secretRef"));
    }
    if let Some(initiator) = initiator {
        name(
            errors,
            initiator,
            format_args!("{path}.initiatorname"),
            volume.is_some(),
        );
    }
}

/// A name in one of the three formats of RFC 3720, section 3.2.6.
fn name(errors: &mut Vec<FieldError>, name: &str, path: Arguments<'_>, of_volume: bool) {
    let good = match name.get(..3) {
        Some("iqn") => is_qualified(name),
        Some("eui") => is_numbered(name, 16),
        Some("naa") => is_numbered(name, 32),
        _ if of_volume => false,
        _ => {
            let detail = "must be valid format starting with iqn, eui, or naa";
            errors.push(FieldError::invalid(path, name, detail));
            return;
        }
    };
    if !good {
        errors.push(FieldError::invalid(path, name, "must be valid format"));
    }
}

/// `iqn.2001-04.com.example:storage`. Upstream's pattern may begin anywhere in the name.
fn is_qualified(name: &str) -> bool {
    name.match_indices("iqn.")
        .any(|(at, start)| is_dated(&name[at + start.len()..]))
}

/// A month, a domain, and a colon with a name after it.
fn is_dated(name: &str) -> bool {
    let Some((domain, rest)) = name.split_once(':') else {
        return false;
    };
    let Some((month, domain)) = domain.split_once('.') else {
        return false;
    };
    let month = month.as_bytes();
    let dated = month.len() == 7
        && month.iter().enumerate().all(|(at, byte)| {
            if at == 4 {
                *byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        });
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let free = |c: char| {
        !matches!(
            c,
            ',' | ';' | '*' | '&' | '$' | '|' | ' ' | '\t' | '\n' | '\r' | '\x0c'
        )
    };
    dated && !domain.is_empty() && domain.chars().all(named) && !rest.is_empty() && rest.chars().all(free)
}

/// Three letters, any character, and so many letters and digits.
fn is_numbered(name: &str, digits: usize) -> bool {
    let mut rest = name.chars().skip(3);
    let divided = rest.next().is_some_and(|c| c != '\n');
    let rest: Vec<char> = rest.take(digits + 1).collect();
    divided && rest.len() == digits && rest.iter().all(char::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_three_formats() {
        let complaint = |text: &str| -> Option<String> {
            let mut errors = Vec::new();
            name(&mut errors, text, format_args!("n"), false);
            errors.first().map(ToString::to_string)
        };
        for good in [
            "iqn.2001-04.com.example:storage",
            "iqn.2001-04.com.example:storage:disk2.sys1.xyz",
            "iqn iqn.2001-04.a-b:c",
            "eui.02004567A425678D",
            "naa.52004567BA64678D52004567BA64678D",
        ] {
            assert_eq!(complaint(good), None, "{good}");
        }
        for bad in [
            "iqn",
            "iqn.2001-04.com.example",
            "iqn.2001-04.com.example:",
            "iqn.2001-04:x",
            "iqn.2001-04.:x",
            "iqn.200-104.a:x",
            "iqn.2001-04.a_b:x",
            "iqn.2001-04.a:x y",
            "eui.02004567A425678",
            "eui.02004567A425678D0",
            "naa.52004567BA64678D",
        ] {
            let expected = format!("n: Invalid value: {bad:?}: must be valid format");
            assert_eq!(complaint(bad), Some(expected), "{bad}");
        }
        let other = "n: Invalid value: \"x\": must be valid format starting with iqn, eui, or naa";
        assert_eq!(complaint("x").as_deref(), Some(other));
    }
}
