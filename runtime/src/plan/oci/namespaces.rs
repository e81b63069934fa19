//! `linux.namespaces`, id mappings and time offsets.

use std::collections::BTreeSet;
use std::fmt::Write;

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType as Kind};

use super::{PlanError, invalid, text};
use crate::launch::{IdRange, Namespaces};

/// Most ranges that a user namespace can have (user_namespaces(7)).
const MAX_RANGES: usize = 340;

/// Whether the container has a namespace of this kind that need not be the runtime's.
pub(super) fn has(namespaces: &Namespaces, kind: Kind) -> bool {
    namespaces.fresh & kind as u64 != 0
        || namespaces.join.iter().any(|(joined, _)| *joined == kind as u64)
        || kind == Kind::Cgroup && namespaces.cgroup
        || kind == Kind::Time && namespaces.time
}

pub(super) fn compile(linux: &Linux) -> Result<Namespaces, PlanError> {
    let mut all = Namespaces::default();
    let mut seen = BTreeSet::new();
    for namespace in linux.namespaces().iter().flatten() {
        let kind = namespace.typ();
        if !seen.insert(kind as u64) {
            return Err(PlanError(format!("namespace {kind} is listed twice")));
        }
        let path = namespace
            .path()
            .as_ref()
            .filter(|path| !path.as_os_str().is_empty());
        match (kind, path) {
            (kind, Some(path)) => {
                if !path.is_absolute() {
                    return Err(PlanError(format!(
                        "path {} of namespace {kind} is not absolute",
                        path.display()
                    )));
                }
                all.join.push((kind as u64, text(path)?));
            }
            (Kind::Cgroup, None) => all.cgroup = true,
            (Kind::Time, None) => all.time = true,
            (kind, None) => all.fresh |= kind as u64,
        }
    }
    if !has(&all, Kind::Mount) {
        return Err(invalid("a container needs a mount namespace of its own"));
    }
    mappings(linux, &mut all)?;
    all.time_offsets = time_offsets(linux, all.time)?;
    Ok(all)
}

fn mappings(linux: &Linux, all: &mut Namespaces) -> Result<(), PlanError> {
    let uids = ranges(linux.uid_mappings().as_deref().unwrap_or_default(), "uidMappings")?;
    let gids = ranges(linux.gid_mappings().as_deref().unwrap_or_default(), "gidMappings")?;
    if all.fresh & Kind::User as u64 != 0 {
        if uids.is_empty() || gids.is_empty() {
            return Err(invalid(
                "a user namespace needs either a path or uidMappings and gidMappings",
            ));
        }
        let root = |ranges: &[IdRange]| ranges.iter().any(|range| range.inside == 0);
        if !root(&uids) || !root(&gids) {
            return Err(invalid("uidMappings and gidMappings do not map id 0"));
        }
        (all.uid_map, all.gid_map) = (uids, gids);
    } else if !has(all, Kind::User) && (!uids.is_empty() || !gids.is_empty()) {
        return Err(invalid("uidMappings and gidMappings need a user namespace"));
    }
    Ok(())
}

/// Checks id mappings: not empty, not past the end of the ids, not overlapping on either side.
pub(super) fn ranges(mappings: &[LinuxIdMapping], what: &str) -> Result<Vec<IdRange>, PlanError> {
    if mappings.len() > MAX_RANGES {
        return Err(PlanError(format!(
            "{what} has {} ranges: the kernel takes {MAX_RANGES}",
            mappings.len()
        )));
    }
    let ranges: Vec<IdRange> = mappings
        .iter()
        .map(|mapping| IdRange {
            inside: mapping.container_id(),
            outside: mapping.host_id(),
            size: mapping.size(),
        })
        .collect();
    for range in &ranges {
        let IdRange {
            inside,
            outside,
            size,
        } = *range;
        let ends = |first: u32| first.checked_add(size).is_some();
        if size == 0 || !ends(inside) || !ends(outside) {
            return Err(PlanError(format!(
                "{what}: {inside}:{outside}:{size} is not a range of ids"
            )));
        }
    }
    let overlap = |first: fn(&IdRange) -> u32| {
        let mut spans: Vec<(u32, u32)> = ranges.iter().map(|r| (first(r), first(r) + r.size)).collect();
        spans.sort_unstable();
        spans.windows(2).any(|pair| pair[0].1 > pair[1].0)
    };
    if overlap(|range| range.inside) || overlap(|range| range.outside) {
        return Err(PlanError(format!("{what} overlap")));
    }
    Ok(ranges)
}

fn time_offsets(linux: &Linux, fresh: bool) -> Result<String, PlanError> {
    let mut lines = String::new();
    let offsets = linux.time_offsets().as_ref().filter(|all| !all.is_empty());
    if offsets.is_some() && !fresh {
        return Err(invalid("timeOffsets need a new time namespace"));
    }
    for (clock, offset) in offsets.into_iter().flatten() {
        if clock != "monotonic" && clock != "boottime" {
            return Err(PlanError(format!("timeOffsets: unknown clock {clock:?}")));
        }
        let nanoseconds = offset.nanosecs().unwrap_or(0);
        if nanoseconds >= 1_000_000_000 {
            return Err(PlanError(format!(
                "timeOffsets: {nanoseconds} nanoseconds are a second or more"
            )));
        }
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{clock} {} {nanoseconds}", offset.secs().unwrap_or(0));
    }
    Ok(lines)
}
