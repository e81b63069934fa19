//! What must not change on the host, and how a change is seen.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What stands in a treasure's witness file; an attack that prints it has read the host's files.
pub const SECRET: &str = "the host's own secret";

/// The files of a treasure: the witness, and namesakes of those that runtimes write.
const FILES: [&str; 7] = [
    "witness",
    "hostname",
    "hosts",
    "resolv.conf",
    ".krun_config.json",
    ".containerenv",
    "mtab",
];

/// A directory of the host that no container was given.
pub struct Treasure {
    pub path: PathBuf,
    before: Census,
}

type Census = BTreeMap<PathBuf, (u64, u32, u64, u64)>;

/// Every file below a directory with size, mode, owner and device number, mounts and all.
pub fn census(directory: &Path) -> Census {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let metadata = fs::symlink_metadata(entry.path()).unwrap();
        let owner = u64::from(metadata.uid()) << 32 | u64::from(metadata.gid());
        all.insert(
            entry.path(),
            (metadata.size(), metadata.mode(), owner, metadata.rdev()),
        );
        if metadata.is_dir() {
            all.extend(census(&entry.path()));
        }
    }
    all
}

impl Treasure {
    pub fn in_directory(directory: &Path) -> Self {
        let path = directory.join("treasure");
        fs::create_dir_all(path.join("deep")).unwrap();
        for name in FILES {
            fs::write(path.join(name), SECRET).unwrap();
        }
        let before = census(&path);
        Self { path, before }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The treasure as a relative path that climbs from any depth.
    pub fn climbing(&self) -> String {
        format!("../../../../../../../../../../..{}", self.path.display())
    }

    /// What changed, or nothing.
    pub fn damage(&self) -> Option<String> {
        let now = census(&self.path);
        if now != self.before {
            return Some(format!("{:?} became {now:?}", self.before));
        }
        let written = FILES
            .iter()
            .find(|name| fs::read_to_string(self.file(name)).unwrap() != SECRET);
        if let Some(name) = written {
            return Some(format!("{name} was written to"));
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let found = mounts
            .lines()
            .find(|line| line.contains(self.path.to_str().unwrap()));
        found.map(|line| format!("mounted on the host: {line}"))
    }

    /// Fails the test if anything changed.
    pub fn check(&self, what: &str) {
        if let Some(damage) = self.damage() {
            panic!("{what}: the host was changed: {damage}");
        }
    }
}

/// Seconds that a race is run for: `KEELSON_ATTACK_SECONDS`, or `default`.
pub fn time_box(default: u64) -> std::time::Duration {
    let seconds = std::env::var("KEELSON_ATTACK_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    std::time::Duration::from_secs(seconds.unwrap_or(default))
}
