//! Limits and annotations as unit properties (systemd.resource-control(5)), so that systemd does not undo what we write
//! to the files.

use std::collections::HashMap;

use oci_spec::runtime::LinuxResources;

use super::super::{Error, settings};
use super::annotations;
use super::message::Value;

/// Properties from annotations `org.systemd.property.NAME`, whose values are GVariant text.
#[allow(clippy::implicit_hasher)] // as oci-spec has them
pub fn annotations(all: &HashMap<String, String>) -> Result<Vec<(String, Value)>, Error> {
    let mut found = Vec::new();
    let mut named: Vec<_> = all.iter().collect();
    named.sort();
    for (key, text) in named {
        let Some(name) = key.strip_prefix("org.systemd.property.") else {
            continue;
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(Error::Invalid(format!("annotation {key}: invalid name")));
        }
        let value = annotations::parse(text)
            .ok_or_else(|| Error::Invalid(format!("annotation {key}={text}: invalid value")))?;
        found.push(annotations::in_microseconds(name, value)?);
    }
    Ok(found)
}

/// Properties for limits.
pub fn limits(resources: &LinuxResources) -> Result<Vec<(String, Value)>, Error> {
    let mut all = Vec::new();
    for setting in settings(resources)? {
        let number = || {
            if setting.value == "max" {
                Some(u64::MAX)
            } else {
                setting.value.parse().ok()
            }
        };
        let name = match setting.file.as_str() {
            "memory.max" => "MemoryMax",
            "memory.low" => "MemoryLow",
            "memory.high" => "MemoryHigh",
            "memory.min" => "MemoryMin",
            "memory.swap.max" => "MemorySwapMax",
            "pids.max" => "TasksMax",
            "cpu.weight" => "CPUWeight",
            "cpu.max" => {
                all.extend(quota(&setting.value));
                continue;
            }
            "cpuset.cpus" | "cpuset.mems" => {
                let name = if setting.file == "cpuset.cpus" {
                    "AllowedCPUs"
                } else {
                    "AllowedMemoryNodes"
                };
                all.push((name.to_owned(), Value::Bytes(bits(&setting.value)?)));
                continue;
            }
            _ => continue, // no property, or one per device: the file alone
        };
        all.extend(number().map(|n| (name.to_owned(), Value::U64(n))));
    }
    Ok(all)
}

/// `cpu.max` as microseconds per second (rounded up to what systemd keeps: 10 ms), and period.
fn quota(text: &str) -> Vec<(String, Value)> {
    let Some((quota, period)) = text.split_once(' ') else {
        return Vec::new();
    };
    let period: u64 = period.parse().unwrap_or(100_000).max(1);
    let per_second = quota.parse::<u64>().map_or(u64::MAX, |quota| {
        (quota.saturating_mul(1_000_000) / period).div_ceil(10_000) * 10_000
    });
    vec![
        ("CPUQuotaPeriodUSec".to_owned(), Value::U64(period)),
        ("CPUQuotaPerSecUSec".to_owned(), Value::U64(per_second)),
    ]
}

/// A list like `0-2,7` as bits, lowest first.
fn bits(list: &str) -> Result<Vec<u8>, Error> {
    const MOST: usize = 8192;
    let invalid = || Error::Invalid(format!("invalid list {list:?}"));
    let mut bytes = Vec::new();
    for range in list.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let first: usize = first.trim().parse().map_err(|_| invalid())?;
        let last: usize = last.trim().parse().map_err(|_| invalid())?;
        if last < first || last >= MOST {
            return Err(invalid());
        }
        for n in first..=last {
            if bytes.len() <= n / 8 {
                bytes.resize(n / 8 + 1, 0);
            }
            bytes[n / 8] |= 1 << (n % 8);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_limits() {
        let resources: LinuxResources = serde_json::from_value(serde_json::json!({
            "memory": {"limit": 100, "swap": -1}, "pids": {"limit": 7},
            "cpu": {"quota": 50_000, "period": 100_000, "cpus": "0-2,9"},
        }))
        .unwrap();
        let found = limits(&resources).unwrap();
        let has = |name: &str, value: Value| assert!(found.contains(&(name.to_owned(), value)), "{name}");
        has("MemoryMax", Value::U64(100));
        has("MemorySwapMax", Value::U64(u64::MAX));
        has("TasksMax", Value::U64(7));
        has("CPUQuotaPerSecUSec", Value::U64(500_000));
        has("AllowedCPUs", Value::Bytes(vec![0b111, 0b10]));
        assert!(
            bits("3-1").is_err()
                && bits("x").is_err()
                && bits("99999999999").is_err()
                && bits("0-9999").is_err()
        );
    }

    #[test]
    fn of_annotations() {
        let all = HashMap::from([
            (
                "org.systemd.property.TimeoutStopSec".to_owned(),
                "uint64 2".to_owned(),
            ),
            (
                "org.systemd.property.CollectMode".to_owned(),
                "'inactive'".to_owned(),
            ),
            ("other".to_owned(), "x".to_owned()),
        ]);
        assert_eq!(
            annotations(&all).unwrap(),
            [
                ("CollectMode".to_owned(), Value::Text("inactive".to_owned())),
                ("TimeoutStopUSec".to_owned(), Value::U64(2_000_000))
            ]
        );
        let bad = HashMap::from([("org.systemd.property.a.b".to_owned(), "1".to_owned())]);
        assert!(annotations(&bad).is_err());
    }
}
