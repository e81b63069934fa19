//! Names of images, as far as defaults depend on them (`distribution/reference.ParseNormalizedNamed`).

/// Most characters of the path of a repository.
const LONGEST_PATH: usize = 255;
/// Most characters of a tag.
const LONGEST_TAG: usize = 128;

/// The tag that is pulled: `latest` if neither a tag nor a digest is given, an empty one if a digest is; none if this is no
/// name of an image.
pub(super) fn tag(image: &str) -> Option<&str> {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    let (host, path) = match rest.split_once('/') {
        // A first part in lower case is one of the path, unless it can only be a host.
        Some((first, path)) if is_host(first) => (Some(first), path),
        _ => (None, rest),
    };
    let (path, tag) = match path.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (path, None),
    };
    let is_name = host.is_none_or(is_domain)
        && path.len() <= LONGEST_PATH
        && path.split('/').all(is_component)
        && !is_identifier(image)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest);
    is_name.then_some(tag.unwrap_or(if digest.is_some() { "" } else { "latest" }))
}

fn is_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.contains(|c: char| c.is_ascii_uppercase())
}

/// Host and port.
fn is_domain(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    port.is_none_or(is_port)
        && match inner {
            Some(address) => {
                !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
            }
            None => host.split('.').all(label),
        }
}

/// Small letters and digits, with `.`, `_`, `__` or any number of dashes between them.
fn is_component(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let between = |run: &[u8]| matches!(run, [b'.' | b'_'] | [b'_', b'_']) || run.iter().all(|b| *b == b'-');
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|b| is_plain(*b))
        && bytes.last().is_some_and(|b| is_plain(*b))
        && bytes.split(|b| is_plain(*b)).all(between)
}

fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= LONGEST_TAG
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return false;
    };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(is_small_hex)
}

/// Whether it is the identifier of an image, which is no name.
fn is_identifier(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(is_small_hex)
}

fn is_small_hex(b: u8) -> bool {
    matches!(b, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn what_is_pulled() {
        let sha = format!("sha256:{}", "0a".repeat(32));
        for (image, expected) in [
            ("i", Some("latest")),
            ("i:latest", Some("latest")),
            ("i:1.2", Some("1.2")),
            ("a/b_c/d__e-f--g.h", Some("latest")),
            ("localhost/i", Some("latest")),
            ("r.io:5000/i", Some("latest")),
            ("R.io/i:V_1", Some("V_1")),
            ("[fd00::1]:5000/i", Some("latest")),
            (&format!("i@{sha}"), Some("")),
            (&format!("i:latest@{sha}"), Some("latest")),
            ("UPPER", None),
            ("a/UPPER", None),
            ("", None),
            ("/i", None),
            ("a//b", None),
            ("bundle:///i", None),
            ("bundle:i/j", None),
            ("a._b", None),
            ("a_", None),
            ("i:", None),
            ("i:-", None),
            (" i", None),
            ("i@sha256:00", None),
            ("i@md5:00", None),
            (&"0a".repeat(32), None),
            (&format!("i:{}", "a".repeat(129)), None),
            (&"a".repeat(256), None),
        ] {
            assert_eq!(tag(image), expected, "{image}");
        }
    }
}
