//! `update`: new limits for a container, over those that it has.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use oci_spec::runtime::{LinuxPids, LinuxResources};

use super::arguments::Global;
use super::state::{Status, find};
use super::{Error, cgroups};

/// Largest file of resources that is read.
const MAX_RESOURCES: u64 = 1 << 20;

#[derive(Debug, Args)]
#[allow(clippy::doc_markdown)]
pub(super) struct UpdateArgs {
    /// Resources as JSON (OCI `linux.resources`), from a file or `-`; then no other option counts.
    #[arg(short, long, value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// Block I/O weight, 10 to 1000.
    #[arg(long)]
    pub blkio_weight: Option<u16>,
    /// CPU period in microseconds.
    #[arg(long)]
    pub cpu_period: Option<u64>,
    /// CPU time in a period, in microseconds.
    #[arg(long, allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// CPU time that may be saved up, in microseconds.
    #[arg(long)]
    pub cpu_burst: Option<u64>,
    /// CPU shares.
    #[arg(long, alias = "cpu-shares")]
    pub cpu_share: Option<u64>,
    /// Realtime period in microseconds (not in cgroup v2).
    #[arg(long)]
    pub cpu_rt_period: Option<u64>,
    /// Realtime in a period, in microseconds (not in cgroup v2).
    #[arg(long, allow_hyphen_values = true)]
    pub cpu_rt_runtime: Option<i64>,
    /// Only idle time: 1, or 0.
    #[arg(long)]
    pub cpu_idle: Option<i64>,
    /// Processors.
    #[arg(long)]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes.
    #[arg(long)]
    pub cpuset_mems: Option<String>,
    /// Memory limit; units b, k, m, g; -1 for none.
    #[arg(long, allow_hyphen_values = true)]
    pub memory: Option<String>,
    /// Memory that is protected.
    #[arg(long, allow_hyphen_values = true)]
    pub memory_reservation: Option<String>,
    /// Memory and swap together; -1 for no limit.
    #[arg(long, allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// Accepted: ignored by kernels, and by runc.
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub kernel_memory: Option<String>,
    /// Accepted: ignored by kernels, and by runc.
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub kernel_memory_tcp: Option<String>,
    /// Processes; -1 for no limit.
    #[arg(long, allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Not supported.
    #[arg(long, hide = true)]
    pub l3_cache_schema: Option<String>,
    /// Not supported.
    #[arg(long, hide = true)]
    pub mem_bw_schema: Option<String>,
    /// Container.
    pub id: String,
}

/// Bytes, with a unit of 1024s as in `64m`; -1 is unlimited.
fn bytes(text: &str) -> Result<i64, Error> {
    let invalid = || Error::Invalid(format!("invalid size {text:?}"));
    if text == "-1" {
        return Ok(-1);
    }
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower
        .strip_suffix("ib")
        .or(lower.strip_suffix('b'))
        .unwrap_or(&lower);
    let shift = match lower.chars().last() {
        Some('k') => 10,
        Some('m') => 20,
        Some('g') => 30,
        Some('t') => 40,
        Some('p') => 50,
        _ => 0,
    };
    let digits = if shift == 0 {
        lower
    } else {
        &lower[..lower.len() - 1]
    };
    let number: u64 = digits.trim().parse().map_err(|_| invalid())?;
    let bytes = number.checked_mul(1 << shift).and_then(|n| i64::try_from(n).ok());
    bytes.ok_or_else(invalid)
}

fn from_file(path: &std::path::Path) -> Result<LinuxResources, Error> {
    let shown = path.display();
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(MAX_RESOURCES).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(MAX_RESOURCES).read_to_string(&mut text))
    };
    read.map_err(Error::io(format!("reading {shown}")))?;
    serde_json::from_str(&text).map_err(|e| Error::Invalid(format!("{shown}: {e}")))
}

/// What the options ask for, as resources.
fn from_options(args: &UpdateArgs) -> Result<LinuxResources, Error> {
    let size = |text: &Option<String>| text.as_deref().map(bytes).transpose();
    // By way of JSON: a field that is not there stays unset.
    let json = serde_json::json!({
        "memory": {
            "limit": size(&args.memory)?,
            "reservation": size(&args.memory_reservation)?,
            "swap": size(&args.memory_swap)?,
        },
        "cpu": {
            "shares": args.cpu_share, "quota": args.cpu_quota, "period": args.cpu_period, "burst": args.cpu_burst,
            "realtimePeriod": args.cpu_rt_period, "realtimeRuntime": args.cpu_rt_runtime, "idle": args.cpu_idle,
            "cpus": args.cpuset_cpus, "mems": args.cpuset_mems,
        },
        "blockIO": { "weight": args.blkio_weight },
    });
    let mut resources: LinuxResources =
        serde_json::from_value(json).map_err(|e| Error::Invalid(e.to_string()))?;
    if let Some(limit) = args.pids_limit {
        let mut pids = LinuxPids::default();
        pids.set_limit(limit);
        resources.set_pids(Some(pids));
    }
    Ok(resources)
}

/// `new` over `old`, field by field; lists as wholes.
fn merged(old: &LinuxResources, new: &LinuxResources) -> Result<LinuxResources, Error> {
    fn merge(old: &mut serde_json::Value, new: serde_json::Value) {
        match (old, new) {
            (serde_json::Value::Object(old), serde_json::Value::Object(new)) => {
                for (key, value) in new {
                    merge(old.entry(key).or_insert(serde_json::Value::Null), value);
                }
            }
            (_, serde_json::Value::Null) => {}
            (old, new) => *old = new,
        }
    }
    let invalid = |e: serde_json::Error| Error::Invalid(e.to_string());
    let mut value = serde_json::to_value(old).map_err(invalid)?;
    merge(&mut value, serde_json::to_value(new).map_err(invalid)?);
    serde_json::from_value(value).map_err(invalid)
}

pub(super) fn update(global: &Global, args: &UpdateArgs) -> Result<(), Error> {
    if args.l3_cache_schema.is_some() || args.mem_bw_schema.is_some() {
        return Err(Error::Invalid("intelRdt is not supported".to_owned()));
    }
    let mut container = find(global, &args.id)?;
    if container.status == Status::Stopped {
        return Err(Error::Invalid("cannot update a stopped container".to_owned()));
    }
    let mut new = match &args.resources {
        Some(path) => from_file(path)?,
        None => from_options(args)?,
    };
    new.set_devices(None); // as in runc, these stay what they were
    let spec = &mut container.stored.spec;
    let Some(linux) = spec.linux_mut() else {
        return Err(Error::Invalid("the container has no linux section".to_owned()));
    };
    let old = linux.resources().clone().unwrap_or_default();
    let wanted = merged(&old, &new)?;
    linux.set_resources(Some(wanted.clone()));
    cgroups::update(global, &container.stored, &wanted)?;
    container.stored.save(&container.directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, size) in [
            ("-1", -1),
            ("5", 5),
            ("64m", 64 << 20),
            ("1GiB", 1 << 30),
            ("2KB", 2048),
            ("0", 0),
        ] {
            assert_eq!(bytes(text).unwrap(), size, "{text}");
        }
        for bad in ["", "m", "-5", "1x", "99999999999999g", "1.5m", "é"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn merging() {
        let of = |json: serde_json::Value| serde_json::from_value::<LinuxResources>(json).unwrap();
        let old = of(
            serde_json::json!({"cpu": {"quota": 1, "period": 2}, "pids": {"limit": 5}, "unified": {"a.b": "1"}}),
        );
        let new =
            of(serde_json::json!({"cpu": {"quota": 7}, "memory": {"limit": 9}, "unified": {"c.d": "2"}}));
        let merged = merged(&old, &new).unwrap();
        assert_eq!(
            merged,
            of(
                serde_json::json!({"cpu": {"quota": 7, "period": 2}, "pids": {"limit": 5}, "memory": {"limit": 9},
                "unified": {"a.b": "1", "c.d": "2"}})
            )
        );
    }
}
