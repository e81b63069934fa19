//! `state`, `ps`, `list`, `features`.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::Error;
use super::arguments::{Format, Global, ListArgs, PsArgs};
use super::state::{Container, find, ids};

fn print(value: &serde_json::Value) {
    println!("{value:#}");
}

fn describe(container: &Container) -> serde_json::Value {
    let stored = &container.stored;
    let root = stored
        .spec
        .root()
        .as_ref()
        .map(|root| stored.bundle.join(root.path()));
    json!({
        "ociVersion": "1.2.0",
        "id": stored.id,
        "pid": container.init.map_or(0, |(pid, _)| pid),
        "status": container.status.to_string(),
        "bundle": stored.bundle,
        "rootfs": root,
        "created": stored.created,
        "annotations": stored.spec.annotations().clone().unwrap_or_default(),
        "owner": "",
    })
}

pub(super) fn state(global: &Global, id: &str) -> Result<(), Error> {
    print(&describe(&find(global, id)?));
    Ok(())
}

/// Process ids of a container: those in its cgroup, or its first.
pub(super) fn pids(container: &Container) -> Vec<i32> {
    let mut found = Vec::new();
    if let Some(path) = &container.stored.cgroup {
        collect(path, &mut found);
    }
    if found.is_empty() {
        found.extend(container.init.map(|(pid, _)| pid));
    }
    found
}

fn collect(path: &Path, found: &mut Vec<i32>) {
    let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    found.extend(
        text.lines()
            .filter_map(|line| line.parse::<i32>().ok())
            .filter(|pid| *pid > 0),
    );
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), found);
        }
    }
}

pub(super) fn ps(global: &Global, args: &PsArgs) -> Result<(), Error> {
    let pids = pids(&find(global, &args.id)?);
    match args.format {
        Format::Json => print(&json!(pids)),
        Format::Table => {
            println!("{:>8} COMMAND", "PID");
            for pid in pids {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                println!("{pid:>8} {}", line.trim_end());
            }
        }
    }
    Ok(())
}

pub(super) fn list(global: &Global, args: &ListArgs) -> Result<(), Error> {
    let ids = ids(global)?;
    // One that goes while we look is not there any more, and one half made not yet.
    let containers: Vec<Container> = ids.iter().filter_map(|id| find(global, id).ok()).collect();
    if args.quiet {
        for container in &containers {
            println!("{}", container.stored.id);
        }
    } else if args.format == Format::Json {
        print(&json!(containers.iter().map(describe).collect::<Vec<_>>()));
    } else {
        println!(
            "{:<24} {:>8} {:<10} {:<32} CREATED",
            "ID", "PID", "STATUS", "BUNDLE"
        );
        for c in &containers {
            let pid = c.init.map_or(0, |(pid, _)| pid);
            let bundle = c.stored.bundle.display().to_string();
            println!(
                "{:<24} {pid:>8} {:<10} {bundle:<32} {}",
                c.stored.id,
                c.status.to_string(),
                c.stored.created
            );
        }
    }
    Ok(())
}

/// OCI `features.md`.
pub(super) fn features() {
    print(&crate::plan::features(false));
}
