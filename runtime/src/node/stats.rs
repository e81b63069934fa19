//! Usage of containers and sandboxes: from their cgroup, and from `/proc` for what it lacks without controllers.

use std::fs;
use std::path::Path;

use super::runtime::Inner;
use super::{Error, Stats, containers, sandboxes};

pub(super) fn container(inner: &Inner, id: &str) -> Result<Stats, Error> {
    match containers::cgroup_of(inner, id)? {
        Some(path) => Ok(of_cgroup(&path)),
        None => Ok(of_processes(&inner_pid(inner, id)?)),
    }
}

fn inner_pid(inner: &Inner, id: &str) -> Result<Vec<i32>, Error> {
    Ok(containers::find(inner, id)?
        .and_then(|state| state.pid)
        .into_iter()
        .collect())
}

pub(super) fn sandbox(inner: &Inner, id: &str) -> Result<Stats, Error> {
    let state = sandboxes::find(inner, id)?.ok_or_else(|| Error::NotFound(format!("sandbox {id}")))?;
    if let Some(cgroups) = &inner.cgroups {
        return Ok(of_cgroup(&cgroups.pod(&state.spec)));
    }
    let mut pids = Vec::new();
    for container in containers::of_sandbox(inner, id)? {
        pids.extend(inner_pid(inner, &container)?);
    }
    Ok(of_processes(&pids))
}

/// A `key value` line of a flat keyed file.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

fn of_cgroup(path: &Path) -> Stats {
    let read = |file: &str| fs::read_to_string(path.join(file)).ok();
    let mut pids = Vec::new();
    collect_pids(path, &mut pids);
    let mut stats = match read("memory.current").and_then(|text| text.trim().parse().ok()) {
        Some(usage) => {
            let detail = read("memory.stat").unwrap_or_default();
            let inactive = keyed(&detail, "inactive_file").unwrap_or(0);
            Stats {
                memory_usage: usage,
                memory_working_set: usage.saturating_sub(inactive),
                memory_rss: keyed(&detail, "anon").unwrap_or(0),
                ..Stats::default()
            }
        }
        None => of_processes(&pids),
    };
    stats.pids = pids.len() as u64;
    if let Some(usage) = read("cpu.stat").and_then(|text| keyed(&text, "usage_usec")) {
        stats.cpu_usage_ns = usage * 1000;
    }
    stats
}

fn collect_pids(path: &Path, pids: &mut Vec<i32>) {
    let procs = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    pids.extend(
        procs
            .lines()
            .filter_map(|line| line.parse::<i32>().ok())
            .filter(|pid| *pid > 0),
    );
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_pids(&entry.path(), pids);
        }
    }
}

/// Sums up processes; those that have just ended count nothing.
fn of_processes(pids: &[i32]) -> Stats {
    let mut stats = Stats {
        pids: pids.len() as u64,
        ..Stats::default()
    };
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let kilobytes = |key: &str| -> u64 {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap_or("");
            line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0)
        };
        stats.memory_usage += kilobytes("VmRSS:") << 10;
        stats.memory_rss += kilobytes("RssAnon:") << 10;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Fields 14 and 15 in clock ticks of 10 ms; the name in field 2 may contain anything but ends with the last ")".
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 = after
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|n| n.parse::<u64>().ok())
            .sum();
        stats.cpu_usage_ns += ticks * 10_000_000;
    }
    stats.memory_working_set = stats.memory_usage;
    stats
}

#[cfg(test)]
mod tests {
    use super::keyed;

    #[test]
    fn flat_keyed_files() {
        assert_eq!(keyed("usage_usec 12\nuser_usec 7\n", "user_usec"), Some(7));
        assert_eq!(keyed("usage_usec 12\n", "usage"), None);
    }
}
