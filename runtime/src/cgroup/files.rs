//! Reading the files of a cgroup.

use std::fs;
use std::path::Path;

/// A file with one number; "max" is the largest.
pub fn number(cgroup: &Path, file: &str) -> Option<u64> {
    let text = fs::read_to_string(cgroup.join(file)).ok()?;
    match text.trim() {
        "max" => Some(u64::MAX),
        text => text.parse().ok(),
    }
}

/// The value of a key in a file of `KEY VALUE` lines.
pub fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Process ids in a cgroup and all below.
pub fn pids(cgroup: &Path) -> Vec<i32> {
    let mut found = Vec::new();
    let _ = super::removal::visit(cgroup, false, |dir| {
        let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        let numbers = procs.lines().filter_map(|line| line.parse::<i32>().ok());
        found.extend(numbers.filter(|pid| *pid > 0)); // 0: of a process namespace that we do not see
    });
    found.sort_unstable();
    found
}

/// One line of a pressure file (`some` or `full`): averages over 10, 60 and 300 seconds, and total microseconds.
pub fn pressure(text: &str, which: &str) -> Option<([f64; 3], u64)> {
    let line = text.lines().find_map(|line| line.strip_prefix(which))?;
    let value = |key: &str| {
        line.split_whitespace()
            .find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
    };
    let average = |key| value(key)?.parse().ok();
    Some((
        [average("avg10")?, average("avg60")?, average("avg300")?],
        value("total")?.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsed() {
        assert_eq!(keyed("anon_thp 3\nanon 5\n", "anon"), Some(5));
        assert_eq!(keyed("anon x", "anon"), None);
        let text = "some avg10=0.50 avg60=1.00 avg300=2.25 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";
        assert_eq!(pressure(text, "some"), Some(([0.5, 1.0, 2.25], 77)));
        assert_eq!(pressure("some avg10=x", "some"), None);
    }
}
