//! `format` of strings (`kube-openapi/pkg/validation/strfmt`): those that upstream knows for custom resources. Others say
//! nothing. `isbn`, `isbn10`, `isbn13`, `creditcard`, `ssn` and `rgbcolor` are let pass as well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine;

/// Whether the text is of the format.
pub(super) fn is_valid(format: &str, text: &str) -> bool {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    match format {
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => text.split_once('/').is_some_and(|(address, length)| {
            let most = match address.parse::<IpAddr>() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            (digits(length, 1) || digits(length, 2) || digits(length, 3))
                && length.parse::<u8>().is_ok_and(|length| length <= most)
        }),
        "mac" => mac(text),
        "byte" => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
        "bsonobjectid" => text.len() == 24 && is_hex(text),
        "uuid" => uuid(text, ""),
        "uuid3" => uuid(text, "3"),
        "uuid4" => uuid(text, "4"),
        "uuid5" => uuid(text, "5"),
        "date" => date(text),
        "date-time" | "datetime" => date_time(text),
        "duration" => duration(text),
        "hostname" => hostname(text),
        "email" => email(text),
        "uri" => uri(text),
        "hexcolor" => {
            let digits = text.strip_prefix('#').unwrap_or(text);
            matches!(digits.len(), 3 | 6) && is_hex(digits)
        }
        _ => true,
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn mac(text: &str) -> bool {
    let groups = |separator: char, digits: usize, counts: &[usize]| {
        let parts: Vec<&str> = text.split(separator).collect();
        counts.contains(&parts.len()) && parts.iter().all(|part| part.len() == digits && is_hex(part))
    };
    groups(':', 2, &[6, 8, 20]) || groups('-', 2, &[6, 8, 20]) || groups('.', 4, &[3, 4, 10])
}

/// Hexadecimal digits in groups, whose dashes may be left out.
fn uuid(text: &str, version: &str) -> bool {
    let plain: String = text.chars().filter(|c| *c != '-').collect();
    let dashes = [8, 13, 18, 23];
    let placed = text.len() == 32
        || (text.len() == 36
            && text
                .char_indices()
                .all(|(at, c)| (c == '-') == dashes.contains(&at)));
    let variant = plain.as_bytes().get(16).map(u8::to_ascii_lowercase);
    let variant = matches!(version, "" | "3") || matches!(variant, Some(b'8' | b'9' | b'a' | b'b'));
    placed
        && plain.len() == 32
        && is_hex(&plain)
        && plain.get(12..).is_some_and(|v| v.starts_with(version))
        && variant
}

fn date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else {
        return false;
    };
    let number = |text: &str, count: usize| {
        let digits = text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u32>().unwrap_or(0))
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let most = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=most).contains(&day)
}

fn date_time(text: &str) -> bool {
    let Some((day, rest)) = text.split_once(['T', 't']) else {
        return false;
    };
    let bytes = rest.as_bytes();
    let two = |at: usize, most: u32| {
        let digits = rest.get(at..at + 2);
        digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            && digits
                .and_then(|digits| digits.parse().ok())
                .is_some_and(|number: u32| number <= most)
    };
    let clock =
        two(0, 23) && bytes.get(2) == Some(&b':') && two(3, 59) && bytes.get(5) == Some(&b':') && two(6, 59);
    let Some(mut zone) = rest.get(8..).filter(|_| clock) else {
        return false;
    };
    if let Some(fraction) = zone.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return false;
        }
        zone = &fraction[digits..];
    }
    let offset = zone.strip_prefix(['+', '-']).is_some_and(|offset| {
        let bytes = offset.as_bytes();
        bytes.len() == 5 && bytes[2] == b':' && [0, 1, 3, 4].iter().all(|at| bytes[*at].is_ascii_digit())
    });
    date(day) && (zone.eq_ignore_ascii_case("z") || offset)
}

/// Go's durations, and numbers with longer units (`3 days`).
fn duration(text: &str) -> bool {
    const SHORT: &[&str] = &["ns", "us", "\u{b5}s", "\u{3bc}s", "ms", "s", "m", "h"];
    const LONG: &[&str] = &[
        "ns", "nano", "us", "\u{b5}s", "micro", "ms", "milli", "s", "sec", "m", "min", "h", "hr", "hour",
        "d", "day", "w", "week", "wk",
    ];
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let go = !rest.is_empty()
        && loop {
            if rest.is_empty() {
                break true;
            }
            let number = rest
                .bytes()
                .take_while(|b| b.is_ascii_digit() || *b == b'.')
                .count();
            let value = &rest[..number];
            if !value.bytes().any(|b| b.is_ascii_digit()) || value.matches('.').count() > 1 {
                break false;
            }
            rest = &rest[number..];
            let unit = rest
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(rest.len());
            if !SHORT.contains(&&rest[..unit]) {
                break false;
            }
            rest = &rest[unit..];
        };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = text[digits..].trim_start();
    go || (digits > 0
        && LONG.contains(
            &unit
                .strip_suffix('s')
                .filter(|unit| unit.len() > 1)
                .unwrap_or(unit),
        ))
}

fn hostname(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

fn email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let atom = |text: &str| {
        !text.is_empty()
            && text.split('.').all(|part| !part.is_empty())
            && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "()<>[]:;@\\,\"".contains(c))
    };
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    (atom(local) || quoted) && atom(domain)
}

/// `url.ParseRequestURI`: an absolute URI, or a path that begins with a slash.
fn uri(text: &str) -> bool {
    if text.contains(|c: char| c.is_control() || c == ' ') {
        return false;
    }
    if text.starts_with('/') {
        return true;
    }
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    scheme && !rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn formats() {
        for (format, good, bad) in [
            ("ipv4", "10.0.0.1", "10.0.0.256"),
            ("ipv6", "fe80::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "00:1a:2b:3c:4d:5e", "00:1a:2b"),
            ("byte", "aGk=", "a"),
            ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99"),
            (
                "uuid4",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "a0eebc99-9c0b-1ef8-bb6d-6bb9bd380a11",
            ),
            ("date", "2024-02-29", "2023-02-29"),
            ("date-time", "2024-01-02T03:04:05.6+01:00", "2024-01-02 03:04:05"),
            ("date-time", "2024-01-02T03:04:05Z", "2024-01-02T24:04:05Z"),
            ("duration", "1h30m", "1x"),
            ("duration", "3 days", "days"),
            ("hostname", "a.example.com", "-a"),
            ("email", "a@example.com", "a"),
            ("uri", "https://example.com/x", "example.com"),
            ("hexcolor", "#fff", "#ggg"),
            ("bsonobjectid", "507f1f77bcf86cd799439011", "507f"),
        ] {
            assert!(is_valid(format, good), "{format} {good}");
            assert!(!is_valid(format, bad), "{format} {bad}");
        }
        assert!(is_valid("no-such-format", "anything"));
        // Any bytes, at any border.
        for text in [
            "\u{e4}",
            "",
            "\u{e4}\u{e4}\u{e4}\u{e4}T\u{e4}\u{e4}:\u{e4}",
            "-",
            "+",
            ".h",
            "\u{b5}s",
        ] {
            for format in [
                "date",
                "date-time",
                "duration",
                "uuid",
                "cidr",
                "mac",
                "email",
                "uri",
                "hostname",
            ] {
                let _ = is_valid(format, text);
            }
        }
    }
}
