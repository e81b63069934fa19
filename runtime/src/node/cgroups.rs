//! Where the cgroups of pods and containers lie, and their limits. Without controllers on the host they still hold a pod's processes together:
//! `cgroup.kill` ends all of them, whatever they did.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Error, NodeConfig, QosClass, Resources, SandboxSpec};
use crate::cgroup::{self, default_device_rules, device_filter};

/// Controllers that limits need.
const CONTROLLERS: [&str; 6] = ["cpu", "memory", "pids", "io", "cpuset", "hugetlb"];

/// The cgroup v2 hierarchy as this runtime uses it.
#[derive(Debug, Clone)]
pub(super) struct Cgroups {
    /// Mount point of the hierarchy.
    mount: PathBuf,
    /// `NAME` of `NodeConfig::cgroup_root`.
    root: String,
    /// Whether limits are written.
    limits: bool,
}

/// The files of a cgroup that carry limits, and what to write (kernel: `cgroup-v2.rst`).
pub(crate) fn limit_files(resources: &Resources) -> Vec<(String, String)> {
    let mut files = Vec::new();
    if let Some(shares) = resources.cpu_shares {
        // Kubernetes' conversion of shares (2..262144) to weights (1..10000).
        let weight = 1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142;
        files.push(("cpu.weight".to_owned(), weight.to_string()));
    }
    if let Some(quota) = resources.cpu_quota {
        let period = resources.cpu_period.unwrap_or(100_000);
        let quota = if quota > 0 {
            quota.to_string()
        } else {
            "max".to_owned()
        };
        files.push(("cpu.max".to_owned(), format!("{quota} {period}")));
    }
    if let Some(limit) = resources.memory_limit.filter(|limit| *limit > 0) {
        files.push(("memory.max".to_owned(), limit.to_string()));
        files.push(("memory.swap.max".to_owned(), "0".to_owned()));
    }
    if let Some(limit) = resources.pids_limit {
        files.push((
            "pids.max".to_owned(),
            if limit > 0 {
                limit.to_string()
            } else {
                "max".to_owned()
            },
        ));
    }
    files.extend(
        resources
            .hugepages
            .iter()
            .map(|(size, bytes)| (format!("hugetlb.{size}.max"), bytes.to_string())),
    );
    files
}

fn make_dir(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::io(format!("making cgroup {}", path.display())))
}

impl Cgroups {
    /// `None` where the host has no cgroup v2 hierarchy that we may use.
    pub(super) fn find(config: &NodeConfig) -> Result<Option<Self>, Error> {
        let Some(mount) = cgroup::mount_point() else {
            return Ok(None);
        };
        let found = Self {
            mount,
            root: config.cgroup_root.clone(),
            limits: config.cgroups,
        };
        match make_dir(&found.top()) {
            Ok(()) => Ok(Some(found)),
            Err(_) if !config.cgroups => Ok(None), // a read-only hierarchy: go on without
            Err(error) => Err(error),
        }
    }

    /// The directory of everything of this runtime.
    pub(super) fn top(&self) -> PathBuf {
        self.mount.join(&self.root)
    }

    /// For shims: apart from the pods, whose limits must not hit them, and from the kubelet, with which they must not die.
    pub(super) fn shims(&self) -> Result<PathBuf, Error> {
        let path = self.top().join("shims");
        make_dir(&self.top())?;
        if fs::create_dir(&path).is_ok() {
            // They need no more devices than any container. Besides, while one filter is attached anywhere, those of
            // containers come and go more cheaply: the kernel patches its code for the first and after the last.
            cgroup::filter_devices(&path, &device_filter(&default_device_rules()))?;
        }
        make_dir(&path)?;
        Ok(path)
    }

    /// A pod's directory.
    pub(super) fn pod(&self, sandbox: &SandboxSpec) -> PathBuf {
        let pods = self.top().join("kubepods");
        let parent = match sandbox.qos {
            QosClass::Guaranteed => pods,
            QosClass::Burstable => pods.join("burstable"),
            QosClass::BestEffort => pods.join("besteffort"),
        };
        parent.join(format!("pod{}", sandbox.id))
    }

    /// Makes a pod's cgroup with its limits.
    pub(super) fn make_pod(&self, sandbox: &SandboxSpec) -> Result<PathBuf, Error> {
        let path = self.pod(sandbox);
        make_dir(&path)?;
        if self.limits {
            self.delegate(&path)?;
            write_limits(&path, &sandbox.resources)?;
        }
        Ok(path)
    }

    /// Makes a container's cgroup with its limits.
    pub(super) fn make_container(
        &self,
        sandbox: &SandboxSpec,
        id: &str,
        resources: &Resources,
    ) -> Result<PathBuf, Error> {
        let path = self.make_pod(sandbox)?.join(id);
        make_dir(&path)?;
        if self.limits {
            write_limits(&path, resources)?;
            // As the kubelet has it: out of memory, a container ends whole. Not so a pod, whose other containers go on.
            let group = path.join("memory.oom.group");
            fs::write(&group, "1").map_err(Error::io(format!("writing 1 to {}", group.display())))?;
        }
        Ok(path)
    }

    /// Applies new limits where limits are applied at all.
    pub(super) fn update(&self, path: &Path, resources: &Resources) -> Result<(), Error> {
        if self.limits {
            write_limits(path, resources)
        } else {
            Ok(())
        }
    }

    /// Turns on controllers for the children of every directory from the top of the hierarchy down to `path`.
    fn delegate(&self, path: &Path) -> Result<(), Error> {
        let below = path.strip_prefix(&self.mount).unwrap_or(path);
        let mut at = self.mount.clone();
        let mut levels = vec![at.clone()];
        for part in below.components() {
            at = at.join(part);
            levels.push(at.clone());
        }
        for level in levels {
            let file = level.join("cgroup.controllers");
            let have = fs::read_to_string(&file).map_err(Error::io(format!("reading {}", file.display())))?;
            let control = level.join("cgroup.subtree_control");
            for controller in CONTROLLERS
                .iter()
                .filter(|c| have.split_whitespace().any(|h| h == **c))
            {
                fs::write(&control, format!("+{controller}")).map_err(Error::io(format!(
                    "writing +{controller} to {}",
                    control.display()
                )))?;
            }
        }
        Ok(())
    }
}

fn write_limits(path: &Path, resources: &Resources) -> Result<(), Error> {
    for (file, value) in limit_files(resources) {
        let file = path.join(file);
        fs::write(&file, &value).map_err(Error::io(format!("writing {value} to {}", file.display())))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let resources = Resources {
            cpu_shares: Some(1024),
            cpu_quota: Some(50_000),
            cpu_period: Some(100_000),
            memory_limit: Some(64 << 20),
            ..Resources::default()
        };
        let files = limit_files(&resources);
        assert!(files.contains(&("cpu.weight".to_owned(), "39".to_owned())));
        assert!(files.contains(&("cpu.max".to_owned(), "50000 100000".to_owned())));
        assert!(files.contains(&("memory.max".to_owned(), "67108864".to_owned())));
        assert!(limit_files(&Resources::default()).is_empty());
        let extremes = |shares| {
            limit_files(&Resources {
                cpu_shares: Some(shares),
                ..Resources::default()
            })[0]
                .1
                .clone()
        };
        assert_eq!(
            (extremes(0), extremes(2), extremes(u64::MAX)),
            ("1".into(), "1".into(), "10000".into())
        );
    }
}
