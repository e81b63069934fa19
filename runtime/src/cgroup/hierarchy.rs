//! Where the hierarchy is mounted.

use std::fs;
use std::path::PathBuf;

/// Mount point of the cgroup v2 hierarchy, by the lines of `/proc/self/mountinfo`: field 5, and the type after ` - `.
pub(super) fn find_mount(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (fields, kind) = line.split_once(" - ")?;
        (kind.split(' ').next()? == "cgroup2").then(|| fields.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// Mount point of this host's cgroup v2 hierarchy; `None` where there is none.
pub fn mount_point() -> Option<PathBuf> {
    find_mount(&fs::read_to_string("/proc/self/mountinfo").ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts() {
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:3 - cgroup2 cgroup2 rw\n";
        assert_eq!(find_mount(hybrid), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(
            find_mount("31 23 0:28 / /x rw - cgroup cgroup rw,cpu\ngarbage\n - \n"),
            None
        );
    }
}
