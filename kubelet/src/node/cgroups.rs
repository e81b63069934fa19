//! Whether the host can enforce limits.

use std::fs;
use std::path::PathBuf;

/// The cgroup v2 controllers that limits need.
const REQUIRED: [&str; 3] = ["cpu", "memory", "pids"];

/// The required controllers that the host's cgroup v2 hierarchy lacks, or why there is none: `Err` in words.
pub fn missing_controllers() -> Result<Vec<&'static str>, String> {
    let table = fs::read_to_string("/proc/self/mountinfo")
        .map_err(|error| format!("cannot read /proc/self/mountinfo: {error}"))?;
    let Some(root) = cgroup2_mount(&table) else {
        return Err(
            "no cgroup2 file system is mounted (mount one with: mount -t cgroup2 none /sys/fs/cgroup)".into(),
        );
    };
    let path = root.join("cgroup.controllers");
    let text =
        fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let present: Vec<&str> = text.split_whitespace().collect();
    Ok(REQUIRED
        .into_iter()
        .filter(|name| !present.contains(name))
        .collect())
}

/// The mount point of the first cgroup2 file system in a `mountinfo` table.
fn cgroup2_mount(table: &str) -> Option<PathBuf> {
    table.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        (right.split(' ').next()? == "cgroup2").then(|| left.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// The sentence for the operator.
pub fn explain(problem: &Result<Vec<&'static str>, String>) -> Option<String> {
    match problem {
        Ok(missing) if missing.is_empty() => None,
        Ok(missing) => Some(format!(
            "limits cannot be enforced: the host's cgroup v2 hierarchy lacks the controllers: {} (boot with \
             systemd.unified_cgroup_hierarchy=1, or release them from cgroup v1)",
            missing.join(", ")
        )),
        Err(reason) => Some(format!("limits cannot be enforced: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_unified_hierarchy_beside_v1() {
        let table = "30 23 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
                     31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw\n\
                     32 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        assert_eq!(
            cgroup2_mount(table),
            Some(PathBuf::from("/sys/fs/cgroup/unified"))
        );
        assert_eq!(cgroup2_mount("garbage\n - \n"), None);
    }

    #[test]
    fn the_message_names_what_is_missing() {
        assert_eq!(explain(&Ok(vec![])), None);
        assert!(
            explain(&Ok(vec!["cpu", "memory"]))
                .unwrap()
                .contains("cpu, memory")
        );
    }
}
