//! `events`: what a container uses, in runc's form (its `types/events.go`), and when it runs out of memory.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::Error;
use super::arguments::{EVENTS, Global};
use super::lifecycle::gone;
use super::options::{End, Found};
use super::state::{Status, find};
use crate::cgroup::{keyed, number, pids, pressure};
use crate::sys;

/// A duration as Go writes it: `1m30s`, `100ms`.
fn duration(text: &str) -> Result<Duration, Error> {
    let invalid = || Error::Invalid(format!("invalid duration {text:?}"));
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(invalid)?;
        let (number, after) = rest.split_at(end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(invalid()),
        };
        total += number.parse::<f64>().map_err(|_| invalid())? * factor;
        rest = after;
    }
    let duration = Duration::try_from_secs_f64(total).map_err(|_| invalid())?;
    if duration < Duration::from_millis(1) {
        return Err(Error::Invalid(
            "duration interval must be greater than 0".to_owned(),
        ));
    }
    Ok(duration)
}

fn psi(cgroup: &Path, file: &str) -> Value {
    let text = std::fs::read_to_string(cgroup.join(file)).unwrap_or_default();
    let line = |which| {
        pressure(&text, which).map(|([avg10, avg60, avg300], total)| {
            json!({"avg10": avg10, "avg60": avg60, "avg300": avg300, "total": total})
        })
    };
    json!({"some": line("some"), "full": line("full")})
}

fn memory(cgroup: &Path) -> Value {
    let text = std::fs::read_to_string(cgroup.join("memory.stat")).unwrap_or_default();
    let stat = |key| keyed(&text, key).unwrap_or(0);
    let of = |file| number(cgroup, file).unwrap_or(0);
    let events = std::fs::read_to_string(cgroup.join("memory.events")).unwrap_or_default();
    let raw: serde_json::Map<String, Value> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(key, value)| Some((key.to_owned(), value.trim().parse::<u64>().ok()?.into())))
        .collect();
    let usage = of("memory.current");
    json!({
        "cache": stat("file"),
        "usage": {
            "limit": of("memory.max"), "usage": usage, "max": of("memory.peak"),
            "failcnt": keyed(&events, "max").unwrap_or(0),
        },
        "swap": {
            "limit": of("memory.swap.max").saturating_add(of("memory.max")),
            "usage": of("memory.swap.current").saturating_add(usage),
            "max": of("memory.swap.peak"), "failcnt": 0,
        },
        "kernel": {"limit": 0, "failcnt": 0},
        "kernelTCP": {"limit": 0, "failcnt": 0},
        "raw": raw,
        "psi": psi(cgroup, "memory.pressure"),
    })
}

fn cpu(cgroup: &Path) -> Value {
    let text = std::fs::read_to_string(cgroup.join("cpu.stat")).unwrap_or_default();
    let stat = |key| keyed(&text, key).unwrap_or(0);
    json!({
        "usage": {
            "total": stat("usage_usec") * 1000, "kernel": stat("system_usec") * 1000, "user": stat("user_usec") * 1000,
        },
        "throttling": {
            "periods": stat("nr_periods"), "throttledPeriods": stat("nr_throttled"),
            "throttledTime": stat("throttled_usec") * 1000,
        },
        "psi": psi(cgroup, "cpu.pressure"),
    })
}

/// `io.stat`: lines of `MAJOR:MINOR KEY=VALUE...`.
fn blkio(cgroup: &Path) -> Value {
    let text = std::fs::read_to_string(cgroup.join("io.stat")).unwrap_or_default();
    let mut bytes = Vec::new();
    let mut operations = Vec::new();
    for line in text.lines() {
        let Some((device, fields)) = line.split_once(' ') else {
            continue;
        };
        let Some((major, minor)) = device.split_once(':') else {
            continue;
        };
        let (Ok(major), Ok(minor)) = (major.parse::<u64>(), minor.parse::<u64>()) else {
            continue;
        };
        for (key, value) in fields
            .split_whitespace()
            .filter_map(|field| field.split_once('='))
        {
            let (list, operation) = match key {
                "rbytes" => (&mut bytes, "Read"),
                "wbytes" => (&mut bytes, "Write"),
                "rios" => (&mut operations, "Read"),
                "wios" => (&mut operations, "Write"),
                _ => continue,
            };
            let value = value.parse::<u64>().unwrap_or(0);
            list.push(json!({"major": major, "minor": minor, "op": operation, "value": value}));
        }
    }
    json!({"ioServiceBytesRecursive": bytes, "ioServicedRecursive": operations, "psi": psi(cgroup, "io.pressure")})
}

fn hugetlb(cgroup: &Path) -> Value {
    let mut all = serde_json::Map::new();
    for entry in std::fs::read_dir(cgroup).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let size = name
            .strip_prefix("hugetlb.")
            .and_then(|rest| rest.strip_suffix(".current"));
        if let Some(size) = size.filter(|size| !size.contains('.')) {
            let usage = number(cgroup, &name).unwrap_or(0);
            let events = std::fs::read_to_string(cgroup.join(format!("hugetlb.{size}.events")));
            let failures = keyed(&events.unwrap_or_default(), "max").unwrap_or(0);
            all.insert(size.to_owned(), json!({"usage": usage, "failcnt": failures}));
        }
    }
    all.into()
}

fn stats(id: &str, cgroup: &Path) -> Value {
    let current = number(cgroup, "pids.current").unwrap_or_else(|| pids(cgroup).len() as u64);
    let limit = number(cgroup, "pids.max").filter(|n| *n != u64::MAX).unwrap_or(0);
    json!({"type": "stats", "id": id, "data": {
        "cpu": cpu(cgroup),
        "memory": memory(cgroup),
        "pids": {"current": current, "limit": limit},
        "blkio": blkio(cgroup),
        "hugetlb": hugetlb(cgroup),
        "intel_rdt": {},
        "network_interfaces": null,
    }})
}

fn say(value: &Value) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")
        .and_then(|()| out.flush())
        .map_err(Error::io("writing an event"))
}

pub(super) fn events(global: &Global, args: &[String]) -> Result<(), Error> {
    let found = Found::parse(args, EVENTS, End::Open)?;
    let interval = duration(found.get("interval").unwrap_or("5s"))?;
    let once = found.is("stats");
    let id = found.id()?;
    let container = find(global, &id)?;
    let running = matches!(
        container.status,
        Status::Running | Status::Paused | Status::Created
    );
    let (Some((pid, _)), true) = (container.init, running) else {
        return Err(Error::Invalid(format!("container with id {id} is not running")));
    };
    let cgroup = container.stored.cgroup.as_deref();
    let cgroup = cgroup.ok_or_else(|| Error::Invalid("the container has no cgroup".to_owned()))?;
    if once {
        return say(&stats(&id, cgroup));
    }
    let init = sys::pidfd_open(pid).map_err(|_| gone())?;
    let epoll = sys::Epoll::new().map_err(Error::io("waiting"))?;
    epoll
        .add(init.as_fd(), libc::EPOLLIN, 0)
        .map_err(Error::io("waiting"))?;
    let kills = || {
        let text = std::fs::read_to_string(cgroup.join("memory.events")).unwrap_or_default();
        keyed(&text, "oom_kill").unwrap_or(0)
    };
    let memory_events = File::open(cgroup.join("memory.events")).ok();
    if let Some(file) = &memory_events {
        let events = libc::EPOLLPRI | libc::EPOLLET;
        epoll.add(file.as_fd(), events, 1).map_err(Error::io("waiting"))?;
    }
    let mut seen = kills();
    let mut next = std::time::Instant::now() + interval; // what the caller asked for
    let mut ready = Vec::new();
    loop {
        let left = next.saturating_duration_since(std::time::Instant::now());
        let milliseconds = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        epoll
            .wait(&mut ready, milliseconds.saturating_add(1))
            .map_err(Error::io("waiting"))?;
        let now = kills();
        if now > seen {
            seen = now;
            say(&json!({"type": "oom", "id": id}))?;
        }
        if ready.iter().any(|event| event.token == 0) {
            return Ok(());
        }
        if std::time::Instant::now() >= next {
            say(&stats(&id, cgroup))?;
            next += interval;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("5s").unwrap(), Duration::from_secs(5));
        assert_eq!(duration("1m30s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("1.5ms").unwrap(), Duration::from_micros(1500));
        for bad in ["", "5", "s", "5x", "0s", "-1s", "1..2s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shape() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("memory.current", "100\n"),
            ("memory.max", "max\n"),
            ("memory.stat", "anon 7\nfile 9\n"),
            ("cpu.stat", "usage_usec 5\nuser_usec 3\nsystem_usec 2\n"),
            (
                "io.stat",
                "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0\ngarbage\n",
            ),
            ("pids.current", "4\n"),
            ("hugetlb.2MB.current", "8\n"),
            ("hugetlb.2MB.rsvd.current", "8\n"),
        ] {
            std::fs::write(dir.path().join(file), text).unwrap();
        }
        let value = stats("x", dir.path());
        assert_eq!(value["data"]["memory"]["usage"]["usage"], 100);
        assert_eq!(value["data"]["memory"]["usage"]["limit"], u64::MAX);
        assert_eq!(value["data"]["memory"]["cache"], 9);
        assert_eq!(value["data"]["cpu"]["usage"]["total"], 5000);
        assert_eq!(value["data"]["blkio"]["ioServiceBytesRecursive"][1]["value"], 2);
        assert_eq!(value["data"]["pids"]["current"], 4);
        assert_eq!(
            value["data"]["hugetlb"],
            json!({"2MB": {"usage": 8, "failcnt": 0}})
        );
    }
}
