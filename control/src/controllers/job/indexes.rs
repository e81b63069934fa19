//! Completion indexes: sets of numbers written as `1,3-5,7`.

use std::collections::BTreeSet;

/// Parses; what is malformed or beyond `bound` is left out.
pub fn parse(text: &str, bound: i64) -> BTreeSet<i64> {
    let mut set = BTreeSet::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(from), Ok(to)) = (from.parse::<i64>(), to.parse::<i64>()) {
            set.extend(from.max(0)..=to.min(bound - 1));
        }
    }
    set
}

/// Writes; two neighbours are `1,2` as upstream has them, more are a range.
pub fn format(set: &BTreeSet<i64>) -> String {
    let mut parts: Vec<(i64, i64)> = Vec::new();
    for &number in set {
        match parts.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => parts.push((number, number)),
        }
    }
    let text = |(from, to): &(i64, i64)| match to - from {
        0 => from.to_string(),
        1 => format!("{from},{to}"),
        _ => format!("{from}-{to}"),
    };
    parts.iter().map(text).collect::<Vec<_>>().join(",")
}
