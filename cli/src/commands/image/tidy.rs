//! Names, removal, collection and the state of the store.

use std::process::ExitCode;

use anyhow::Result;
use keelson_runtime::image::{Collect, Error, FaultKind};

use super::access::access;
use super::args::{Check, Gc, Rm, Tag};
use super::human::size;
use super::{IN_USE, code, open};
use crate::commands::output::print;

/// `keelson image tag`.
pub fn tag(args: &Tag) -> Result<ExitCode> {
    open(&args.cluster.data_dir)?.tag(&args.image, &args.name)?;
    Ok(ExitCode::SUCCESS)
}

/// `keelson image rm`: as many as can be removed are, and each one that cannot is an error.
pub fn remove(args: &Rm) -> Result<ExitCode> {
    let store = open(&args.cluster.data_dir)?;
    let mut failures = 0;
    for image in &args.images {
        let removed = if args.force {
            store.remove_by_force(image)
        } else {
            store.remove(image)
        };
        match removed {
            Ok(removed) => {
                for name in removed.names {
                    print(&format!("Untagged: {name}\n"));
                }
                if let Some(id) = removed.image {
                    print(&format!("Deleted: {id}\n"));
                }
            }
            Err(Error::NotFound(_)) if args.force => {}
            Err(error) => {
                eprintln!("keelson: {error}");
                let in_use = matches!(error, Error::InUse { .. });
                failures = failures.max(if in_use { IN_USE } else { 1 });
            }
        }
    }
    Ok(code(failures))
}

/// `keelson image gc`.
pub fn collect(args: &Gc) -> Result<ExitCode> {
    let what = match (args.all, args.dangling) {
        (true, _) => Collect::Unused,
        (false, true) => Collect::Dangling,
        (false, false) => Collect::Unreferenced,
    };
    let collected = open(&args.cluster.data_dir)?.collect(what, args.dry_run)?;
    let deleted = collected.images.iter().map(|id| format!("Deleted: {id}"));
    let would = if args.dry_run { "Reclaimable" } else { "Reclaimed" };
    let space = format!("{would} space: {}\n", size(collected.bytes));
    let lines: Vec<String> = deleted.chain([space]).collect();
    print(&lines.join("\n"));
    Ok(ExitCode::SUCCESS)
}

/// `keelson image check`: status 1 if something is, or stays, wrong.
pub fn check(args: &Check) -> Result<ExitCode> {
    let store = open(&args.cluster.data_dir)?;
    let ask = |repository: &str| {
        access(&args.registry, repository).map_err(|error| Error::Invalid(format!("{error:#}")))
    };
    let faults = store.check(args.repair.then_some(&ask))?;
    let mut failures = 0;
    for fault in &faults {
        let what = match fault.kind {
            FaultKind::Missing => "is missing",
            FaultKind::Damaged => "is damaged",
            FaultKind::NotUnpacked => "is not unpacked",
        };
        let outcome = match &fault.repaired {
            Some(Ok(())) => "repaired".to_owned(),
            Some(Err(reason)) => format!("not repaired: {reason}"),
            None => "keelson image check --repair fetches it again".to_owned(),
        };
        if fault.repaired != Some(Ok(())) {
            failures = 1;
        }
        print(&format!(
            "{} of {} {what}: {outcome}\n",
            fault.digest, fault.image
        ));
    }
    if faults.is_empty() {
        print("all blobs are what their digests say\n");
    }
    Ok(code(failures))
}
