//! The hierarchy, and making directories in it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::Error;

/// Deepest and longest place of a cgroup: each level is made on its own, and file names must fit behind (`PATH_MAX`).
const MAX_DEPTH: usize = 64;
const MAX_LENGTH: usize = 3000;

/// The cgroup v2 hierarchy of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Mount point.
    pub mount: PathBuf,
    /// Whether the controllers live in cgroup v1 hierarchies beside it.
    pub hybrid: bool,
}

/// What [`Hierarchy::make`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The directory.
    pub path: PathBuf,
    /// Nobody else was there: it is for us to empty and to remove.
    pub ours: bool,
}

/// Mount point by the lines of `/proc/self/mountinfo` (field 5, and the type after ` - `), and whether there are v1
/// hierarchies as well.
fn find_mount(mountinfo: &str) -> Option<(PathBuf, bool)> {
    let mounts = || {
        mountinfo.lines().filter_map(|line| {
            let (fields, kind) = line.split_once(" - ")?;
            Some((fields.split(' ').nth(4)?, kind.split(' ').next()?))
        })
    };
    let (path, _) = mounts().find(|(_, kind)| *kind == "cgroup2")?;
    Some((PathBuf::from(path), mounts().any(|(_, kind)| kind == "cgroup")))
}

/// Mount point of this host's cgroup v2 hierarchy; `None` where there is none.
pub fn mount_point() -> Option<PathBuf> {
    Hierarchy::find().map(|found| found.mount)
}

/// Our own cgroup, by `/proc/self/cgroup`.
fn own(text: &str) -> Option<&Path> {
    text.lines()
        .find_map(|line| line.strip_prefix("0::"))
        .map(Path::new)
}

impl Hierarchy {
    /// `None` where there is no cgroup v2 hierarchy.
    pub fn find() -> Option<Self> {
        let (mount, hybrid) = find_mount(&fs::read_to_string("/proc/self/mountinfo").ok()?)?;
        Some(Self { mount, hybrid })
    }

    /// The place of a `cgroupsPath`: below the mount point if absolute, else beside our own cgroup (which has processes,
    /// and may therefore not have controllers for children).
    pub fn place(&self, path: &Path) -> Result<PathBuf, Error> {
        let below = if let Ok(below) = path.strip_prefix("/") {
            below.to_owned()
        } else {
            let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
            let parent = own(&text).and_then(Path::parent).unwrap_or(Path::new("/"));
            parent.strip_prefix("/").unwrap_or(parent).join(path)
        };
        let plain = below
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let deep = below.components().count() > MAX_DEPTH || below.as_os_str().len() > MAX_LENGTH;
        if !plain || deep || below.as_os_str().is_empty() {
            return Err(Error::Invalid(format!("invalid cgroupsPath {}", path.display())));
        }
        Ok(self.mount.join(below))
    }

    /// Whether a controller may be used in a cgroup.
    pub fn has(&self, cgroup: &Path, controller: &str) -> bool {
        let text = fs::read_to_string(cgroup.join("cgroup.controllers")).unwrap_or_default();
        text.split_whitespace().any(|name| name == controller)
    }

    /// Makes a cgroup and those above it, with every controller that each level has handed down to the next. A level
    /// that refuses is left as it is: what a limit lacks for it shows when the limit is set.
    pub fn make(&self, path: &Path) -> Result<Made, Error> {
        /// Somebody may remove a parent that is empty at this moment, as often as others share it. The growing pauses
        /// (half a second in all) let a crowd of them pass.
        const ATTEMPTS: u64 = 100;
        let mut attempt = 0;
        let created = loop {
            attempt += 1;
            match self.descend(path) {
                Err(Error::Io { source, .. })
                    if source.kind() == ErrorKind::NotFound && attempt < ATTEMPTS && self.mount.exists() =>
                {
                    std::thread::sleep(Duration::from_micros(attempt * 100));
                }
                other => break other?,
            }
        };
        if !created {
            Self::check_existing(path)?;
        }
        let ours = created || super::pids(path).is_empty();
        Ok(Made {
            path: path.to_owned(),
            ours,
        })
    }

    /// Makes what is missing on the way to a cgroup; whether the last one was.
    fn descend(&self, path: &Path) -> Result<bool, Error> {
        let below = path.strip_prefix(&self.mount).unwrap_or(path);
        let mut at = self.mount.clone();
        let mut created = false;
        for part in below.components() {
            hand_down(&at);
            at = at.join(part);
            created = match fs::create_dir(&at) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => false,
                other => {
                    other.map_err(Error::io(format!("failed to create cgroup {}", at.display())))?;
                    true
                }
            };
        }
        Ok(created)
    }

    fn check_existing(path: &Path) -> Result<(), Error> {
        let shown = path.display();
        if super::is_frozen(path) {
            return Err(Error::Invalid(format!(
                "container's cgroup {shown} unexpectedly frozen"
            )));
        }
        let kind = fs::read_to_string(path.join("cgroup.type")).unwrap_or_default();
        match kind.trim() {
            "" | "domain" => Ok(()),
            kind => Err(Error::Invalid(format!(
                "cannot enter cgroup {shown} -- it is in {kind} mode"
            ))),
        }
    }
}

/// Turns on the controllers of a cgroup for its children.
fn hand_down(level: &Path) {
    let read = |file: &str| fs::read_to_string(level.join(file)).unwrap_or_default();
    let (have, given) = (read("cgroup.controllers"), read("cgroup.subtree_control"));
    let missing: Vec<String> = have
        .split_whitespace()
        .filter(|name| !given.split_whitespace().any(|g| g == *name))
        .map(|name| format!("+{name}"))
        .collect();
    let control = level.join("cgroup.subtree_control");
    if missing.is_empty() || fs::write(&control, missing.join(" ")).is_ok() {
        return;
    }
    for name in missing {
        let _ = fs::write(&control, name); // see `make`
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts() {
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            40 31 0:37 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:3 - cgroup2 cgroup2 rw\n";
        assert_eq!(
            find_mount(hybrid),
            Some((PathBuf::from("/sys/fs/cgroup/unified"), true))
        );
        let pure = "41 31 0:38 / /sys/fs/cgroup rw,relatime shared:3 - cgroup2 cgroup2 rw\n";
        assert_eq!(find_mount(pure), Some((PathBuf::from("/sys/fs/cgroup"), false)));
        let none = "31 23 0:28 / /x rw - cgroup cgroup rw,cpu\ngarbage\n - \n";
        assert_eq!(find_mount(none), None);
    }

    #[test]
    fn places() {
        let hierarchy = Hierarchy {
            mount: "/m".into(),
            hybrid: false,
        };
        let place = |path: &str| hierarchy.place(Path::new(path));
        assert_eq!(place("/a/b").unwrap(), Path::new("/m/a/b"));
        assert!(place("a").unwrap().starts_with("/m"));
        let (deep, long) = ("/x".repeat(65), format!("/{}", "x/yyyyyyyyy".repeat(300)));
        for bad in ["", "/", "/..", "/a/../../b", "../x", &deep, &long] {
            assert!(place(bad).is_err(), "{bad:?}");
        }
        assert_eq!(own("1:cpu:/x\n0::/a/b\n"), Some(Path::new("/a/b")));
    }

    #[test]
    fn parents_that_others_remove() {
        let dir = tempfile::tempdir().unwrap();
        let hierarchy = Hierarchy {
            mount: dir.path().to_owned(),
            hybrid: false,
        };
        let parent = dir.path().join("shared");
        let (hierarchy, parent) = (&hierarchy, &parent);
        std::thread::scope(|scope| {
            for neighbour in 0..4 {
                scope.spawn(move || {
                    for n in 0..200 {
                        let path = parent.join(format!("{neighbour}-{n}"));
                        assert!(hierarchy.make(&path).unwrap().ours);
                        fs::remove_dir(&path).unwrap();
                        let _ = fs::remove_dir(parent); // unless a neighbour is in it
                    }
                });
            }
        });
        assert!(!parent.exists());
    }

    #[test]
    fn made_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let hierarchy = Hierarchy {
            mount: dir.path().to_owned(),
            hybrid: false,
        };
        let path = dir.path().join("a/b");
        let made = hierarchy.make(&path).unwrap();
        assert!(made.ours && path.is_dir());
        fs::write(path.join("cgroup.procs"), "12\n").unwrap();
        assert!(!hierarchy.make(&path).unwrap().ours);
        fs::write(path.join("cgroup.type"), "threaded\n").unwrap();
        assert!(hierarchy.make(&path).is_err());
    }
}
