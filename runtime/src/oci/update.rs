//! `update`: new limits for a container, over those that it has.

use std::fs::File;
use std::io::Read;

use oci_spec::runtime::{LinuxPids, LinuxResources};

use super::arguments::Global;
use super::options::{End, Found, Opt, flag, value};
use super::state::{Status, find};
use super::{Error, cgroups};

/// Largest file of resources that is read.
const MAX_RESOURCES: u64 = 1 << 20;

pub(super) static UPDATE: &[Opt] = &[
    value(
        "resources",
        'r',
        "FILE",
        "Resources as JSON (OCI linux.resources), - for standard input; then no other option counts",
    ),
    value("blkio-weight", '\0', "N", "Block I/O weight, 10 to 1000"),
    value("cpu-period", '\0', "N", "CPU period in microseconds"),
    value("cpu-quota", '\0', "N", "CPU time in a period, in microseconds"),
    value(
        "cpu-burst",
        '\0',
        "N",
        "CPU time that may be saved up, in microseconds",
    ),
    value("cpu-share", '\0', "N", "CPU shares"),
    value("cpu-shares", '\0', "N", ""),
    value("cpu-rt-period", '\0', "N", ""),
    value("cpu-rt-runtime", '\0', "N", ""),
    value("cpu-idle", '\0', "N", "Only idle time: 1, or 0"),
    value("cpuset-cpus", '\0', "LIST", "Processors"),
    value("cpuset-mems", '\0', "LIST", "Memory nodes"),
    value(
        "memory",
        '\0',
        "SIZE",
        "Memory limit; units b, k, m, g; -1 for none",
    ),
    value("memory-reservation", '\0', "SIZE", "Memory that is protected"),
    value(
        "memory-swap",
        '\0',
        "SIZE",
        "Memory and swap together; -1 for no limit",
    ),
    value("kernel-memory", '\0', "SIZE", ""), // ignored by kernels, and by runc
    value("kernel-memory-tcp", '\0', "SIZE", ""),
    value("pids-limit", '\0', "N", "Processes; -1 for no limit"),
    value("l3-cache-schema", '\0', "SCHEMA", ""),
    value("mem-bw-schema", '\0', "SCHEMA", ""),
    flag("help", 'h', "Show this"),
];

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
fn from_options(found: &Found) -> Result<LinuxResources, Error> {
    let size = |name| found.get(name).map(bytes).transpose();
    let number = |name| found.number::<i64>(name);
    let unsigned = |name| found.number::<u64>(name);
    // By way of JSON: a field that is not there stays unset.
    let json = serde_json::json!({
        "memory": {
            "limit": size("memory")?,
            "reservation": size("memory-reservation")?,
            "swap": size("memory-swap")?,
        },
        "cpu": {
            "shares": unsigned("cpu-share")?.or(unsigned("cpu-shares")?),
            "quota": number("cpu-quota")?,
            "period": unsigned("cpu-period")?,
            "burst": unsigned("cpu-burst")?,
            "realtimePeriod": unsigned("cpu-rt-period")?,
            "realtimeRuntime": number("cpu-rt-runtime")?,
            "idle": number("cpu-idle")?,
            "cpus": found.get("cpuset-cpus"),
            "mems": found.get("cpuset-mems"),
        },
        "blockIO": { "weight": found.number::<u16>("blkio-weight")? },
    });
    let mut resources: LinuxResources =
        serde_json::from_value(json).map_err(|e| Error::Invalid(e.to_string()))?;
    if let Some(limit) = number("pids-limit")? {
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

pub(super) fn update(global: &Global, args: &[String]) -> Result<(), Error> {
    let found = Found::parse(args, UPDATE, End::Open)?;
    if found
        .get("l3-cache-schema")
        .or(found.get("mem-bw-schema"))
        .is_some()
    {
        return Err(Error::Invalid("intelRdt is not supported".to_owned()));
    }
    let mut new = match found.path("resources") {
        Some(path) => from_file(&path)?,
        None => from_options(&found)?,
    };
    let mut container = find(global, &found.id()?)?;
    if container.status == Status::Stopped {
        return Err(Error::Invalid("cannot update a stopped container".to_owned()));
    }
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
