//! OCI resources (runtime-spec `config-linux.md`, "Control groups") as the files of a cgroup and what to write to them.
//! Pure; the rules of conversion from cgroup v1's units are runc's, so that callers get what they are used to.

use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};

use super::{Error, io};

/// One file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// File in the cgroup's directory; what comes before the first dot is its controller.
    pub file: String,
    /// What to write.
    pub value: String,
    /// Nothing is lost where the file does not exist.
    pub optional: bool,
    /// File and value to be used instead, where that file exists.
    pub preferred: Option<(String, String)>,
}

impl Setting {
    #[allow(clippy::needless_pass_by_value)] // numbers and literals
    pub(super) fn new(file: impl Into<String>, value: impl ToString) -> Self {
        Self {
            file: file.into(),
            value: value.to_string(),
            optional: false,
            preferred: None,
        }
    }

    /// The controller that the file belongs to.
    pub fn controller(&self) -> &str {
        self.file.split('.').next().unwrap_or_default()
    }
}

/// A limit where 0 means unset and -1 unlimited.
fn limit(value: Option<i64>) -> Option<String> {
    match value? {
        0 => None,
        -1 => Some("max".to_owned()),
        n => Some(n.to_string()),
    }
}

/// `cpu.weight` (1 to 10000) for cgroup v1's shares (2 to 262144): the curve through (2, 1), (1024, 100) and
/// (262144, 10000) that runc, crun and Kubernetes agreed on in 2025. 0 is unset.
pub fn cpu_weight(shares: u64) -> Option<u64> {
    match shares {
        0 => None,
        1 | 2 => Some(1),
        262_144.. => Some(10_000),
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            Some(10f64.powf(exponent).ceil() as u64)
        }
    }
}

/// `memory.swap.max` from cgroup v1's sum of memory and swap; `None` leaves it.
pub(super) fn swap(memory: Option<i64>, sum: Option<i64>) -> Result<Option<String>, Error> {
    let (memory, sum) = (memory.unwrap_or(0), sum.unwrap_or(0));
    let invalid = |text: &str| Err(Error::Invalid(text.to_owned()));
    match (memory, sum) {
        (-1, 0) | (_, -1) => Ok(Some("max".to_owned())), // unlimited memory alone: swap as well
        (_, 0) => Ok(None),
        (-1, sum) => Ok(Some(sum.to_string())),
        (0, _) => invalid("unable to set swap limit without memory limit"),
        (memory, _) if memory < 0 => invalid(&format!("invalid memory value: {memory}")),
        (memory, sum) if sum < memory => invalid("memory+swap limit should be >= memory limit"),
        (memory, sum) => Ok(Some((sum - memory).to_string())),
    }
}

fn memory(memory: &LinuxMemory, all: &mut Vec<Setting>) -> Result<(), Error> {
    if let Some(value) = swap(memory.limit(), memory.swap())? {
        // Without swap accounting, none and unlimited are what there is.
        let optional = value == "max" || value == "0";
        all.push(Setting {
            optional,
            ..Setting::new("memory.swap.max", value)
        });
    }
    all.extend(limit(memory.limit()).map(|value| Setting::new("memory.max", value)));
    all.extend(limit(memory.reservation()).map(|value| Setting::new("memory.low", value)));
    Ok(())
}

fn cpu(cpu: &LinuxCpu, all: &mut Vec<Setting>) -> Result<(), Error> {
    let realtime = cpu.realtime_runtime().unwrap_or(0) != 0 || cpu.realtime_period().unwrap_or(0) != 0;
    if realtime {
        return Err(Error::Invalid(
            "realtime scheduling limits do not exist in cgroup v2".to_owned(),
        ));
    }
    // An idle group has no weight: the kernel refuses one.
    all.extend(cpu.idle().map(|idle| Setting::new("cpu.idle", idle)));
    if cpu.idle().unwrap_or(0) != 1 {
        let weight = cpu_weight(cpu.shares().unwrap_or(0));
        all.extend(weight.map(|weight| Setting::new("cpu.weight", weight)));
    }
    // Before the quota; `apply` tries it again after, since the kernel wants burst <= quota at any moment.
    all.extend(cpu.burst().map(|burst| Setting::new("cpu.max.burst", burst)));
    let (quota, period) = (cpu.quota().unwrap_or(0), cpu.period().unwrap_or(0));
    if quota != 0 || period != 0 {
        let quota = if quota > 0 {
            quota.to_string()
        } else {
            "max".to_owned()
        };
        let period = if period == 0 { 100_000 } else { period };
        all.push(Setting::new("cpu.max", format!("{quota} {period}")));
    }
    for (file, list) in [("cpuset.cpus", cpu.cpus()), ("cpuset.mems", cpu.mems())] {
        let list = list.as_ref().filter(|list| !list.is_empty());
        all.extend(list.map(|list| Setting::new(file, list)));
    }
    Ok(())
}

/// A name that is one component of a path.
fn plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\0', '\n'])
}

/// What to write, in order, for everything but devices.
pub fn settings(resources: &LinuxResources) -> Result<Vec<Setting>, Error> {
    let mut all = Vec::new();
    if let Some(pids) = resources.pids().as_ref().filter(|pids| pids.limit() != 0) {
        let value = if pids.limit() > 0 {
            pids.limit().to_string()
        } else {
            "max".to_owned()
        };
        all.push(Setting::new("pids.max", value));
    }
    if let Some(memory) = resources.memory() {
        self::memory(memory, &mut all)?;
    }
    if let Some(block_io) = resources.block_io() {
        io::settings(block_io, &mut all);
    }
    if let Some(cpu) = resources.cpu() {
        self::cpu(cpu, &mut all)?;
    }
    for huge in resources.hugepage_limits().iter().flatten() {
        let size = huge.page_size();
        if !plain(size) {
            return Err(Error::Invalid(format!("invalid huge page size {size:?}")));
        }
        let value = if huge.limit() < 0 {
            "max".to_owned()
        } else {
            huge.limit().to_string()
        };
        all.push(Setting::new(format!("hugetlb.{size}.max"), &value));
        all.push(Setting {
            optional: true,
            ..Setting::new(format!("hugetlb.{size}.rsvd.max"), value)
        });
    }
    for (device, limits) in resources.rdma().iter().flatten() {
        let mut line = device.clone();
        line += &limits
            .hca_handles()
            .map(|n| format!(" hca_handle={n}"))
            .unwrap_or_default();
        line += &limits
            .hca_objects()
            .map(|n| format!(" hca_object={n}"))
            .unwrap_or_default();
        if !plain(device) || device.contains(' ') {
            return Err(Error::Invalid(format!("invalid rdma device {device:?}")));
        }
        all.push(Setting::new("rdma.max", line));
    }
    unified(resources, &mut all)?;
    Ok(all)
}

fn unified(resources: &LinuxResources, all: &mut Vec<Setting>) -> Result<(), Error> {
    let mut unified: Vec<_> = resources.unified().iter().flatten().collect();
    unified.sort();
    for (key, value) in unified {
        if !plain(key) {
            return Err(Error::Invalid(format!(
                "unified resource {key:?} must be a file name (no slashes)"
            )));
        }
        if !key.contains('.') {
            return Err(Error::Invalid(format!(
                "unified resource {key:?} must be in the form CONTROLLER.PARAMETER"
            )));
        }
        // The kernel takes one line a write.
        let lines = value.lines().filter(|line| !line.is_empty());
        all.extend(lines.map(|line| Setting::new(key, line)));
    }
    Ok(())
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
