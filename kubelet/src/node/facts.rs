//! Facts about the machine, read once at start.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The machine.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Processors.
    pub cpus: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of the file system that holds pods.
    pub storage: u64,
    /// Bytes of preallocated huge pages, by page size as the API names it (`2Mi`).
    pub hugepages: BTreeMap<String, u64>,
    /// Kernel release.
    pub kernel: String,
    /// `PRETTY_NAME` of os-release.
    pub os_image: String,
    /// As Go names it: `amd64`.
    pub architecture: String,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// Identity of this boot.
    pub boot_id: String,
    /// DMI product UUID.
    pub system_uuid: String,
}

impl Facts {
    /// Reads them. What cannot be read stays empty.
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| {
            fs::read_to_string(path)
                .map(|t| t.trim().to_owned())
                .unwrap_or_default()
        };
        let machine_id = text("/etc/machine-id");
        let uuid = text("/sys/class/dmi/id/product_uuid");
        let storage = nix::sys::statvfs::statvfs(root)
            .map(|fs| fs.blocks() * fs.fragment_size())
            .unwrap_or_default();
        let release = nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned());
        Self {
            cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
            memory: meminfo(&text("/proc/meminfo"), "MemTotal").unwrap_or_default(),
            storage,
            hugepages: hugepages(Path::new("/sys/kernel/mm/hugepages")),
            kernel: release.unwrap_or_default(),
            os_image: os_image(&text("/etc/os-release")),
            architecture: go_arch(std::env::consts::ARCH).to_owned(),
            system_uuid: if uuid.is_empty() { machine_id.clone() } else { uuid },
            machine_id,
            boot_id: text("/proc/sys/kernel/random/boot_id"),
        }
    }
}

/// Pressure as it is now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pressure {
    pub memory: bool,
    pub disk: bool,
}

/// Reads `/proc/meminfo` and the file system's free space.
pub(super) fn pressure(root: &Path) -> Pressure {
    /// Upstream's hard eviction threshold of `memory.available`.
    const MEMORY_AVAILABLE: u64 = 100 << 20;
    /// A tenth of a large disk is plenty, and nothing evicts pods yet: below this much it is pressure.
    const DISK_AVAILABLE: u64 = 2 << 30;
    let table = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = meminfo(&table, "MemAvailable").is_some_and(|bytes| bytes < MEMORY_AVAILABLE);
    // Upstream: `nodefs.available < 10 %` and `nodefs.inodesFree < 5 %`.
    let disk = nix::sys::statvfs::statvfs(root).is_ok_and(|fs| {
        let little = fs.blocks_available() * fs.fragment_size() < DISK_AVAILABLE;
        (little && fs.blocks_available() * 10 < fs.blocks())
            || (fs.files() > 0 && fs.files_available() * 20 < fs.files())
    });
    Pressure { memory, disk }
}

pub(super) fn meminfo(table: &str, key: &str) -> Option<u64> {
    let line = table
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

pub(super) fn os_image(release: &str) -> String {
    let value = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    value.unwrap_or("Linux").trim_matches(['"', '\'']).to_owned()
}

pub(super) fn go_arch(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

fn hugepages(base: &Path) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let kib: u64 = name
                .strip_prefix("hugepages-")?
                .strip_suffix("kB")?
                .parse()
                .ok()?;
            let count: u64 = fs::read_to_string(entry.path().join("nr_hugepages"))
                .ok()?
                .trim()
                .parse()
                .ok()?;
            let size = if kib >= 1 << 20 {
                format!("{}Gi", kib >> 20)
            } else {
                format!("{}Mi", kib >> 10)
            };
            Some((size, count * kib * 1024))
        })
        .collect()
}
