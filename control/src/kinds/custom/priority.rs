//! Which of several versions a client should prefer (`apimachinery/pkg/version.CompareKubeAwareVersionStrings`).

use std::cmp::{Ordering, Reverse};

/// `v10` before `v2` before `v1` before `v11beta2` before `v10beta3` before `v3alpha1` before `foo1` before `foo10`.
pub fn compare(one: &str, other: &str) -> Ordering {
    match (parse(one), parse(other)) {
        (Some(one), Some(other)) => Reverse(one).cmp(&Reverse(other)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.cmp(other),
    }
}

/// Stability, major and minor version.
fn parse(text: &str) -> Option<(u8, u64, u64)> {
    let rest = text.strip_prefix('v')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let major = number(&rest[..end])?;
    let (stability, minor) = match &rest[end..] {
        "" => return Some((2, major, 0)),
        rest => match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
            (Some(minor), _) => (1, minor),
            (_, Some(minor)) => (0, minor),
            _ => return None,
        },
    };
    Some((stability, major, number(minor)?))
}

fn number(text: &str) -> Option<u64> {
    (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn as_documented() {
        let sorted = [
            "v10",
            "v2",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v12alpha1",
            "v11alpha2",
            "foo1",
            "foo10",
        ];
        let mut versions = sorted;
        versions.reverse();
        versions.sort_by(|a, b| compare(a, b));
        assert_eq!(versions, sorted);
    }
}
