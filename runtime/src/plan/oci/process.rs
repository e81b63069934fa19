//! `process`: a container's first, or one that joins it.

use oci_spec::runtime::{Capabilities as CapabilitySet, Linux, PosixRlimitType, Process as OciProcess};

use super::scheduling::{affinity, io_priority, memory_policy, personality, scheduler};
use super::{MAX_STRING, PlanError, checked, invalid, text};
use crate::launch::{Capabilities, Process, Rlimit};
use crate::plan::{ALL_CAPABILITIES, capability_bit, profile_filter};

/// Missing sets are empty: nothing is given that was not asked for.
fn capabilities(process: &OciProcess) -> Result<Capabilities, PlanError> {
    let Some(sets) = process.capabilities() else {
        return Ok(Capabilities::default());
    };
    let mask = |set: &Option<CapabilitySet>| -> Result<u64, PlanError> {
        let mut mask = 0;
        for capability in set.iter().flatten() {
            let name = capability.to_string();
            mask |= capability_bit(&name).ok_or_else(|| PlanError(format!("unknown capability {name}")))?;
        }
        Ok(mask & ALL_CAPABILITIES)
    };
    Ok(Capabilities {
        bounding: mask(sets.bounding())?,
        effective: mask(sets.effective())?,
        permitted: mask(sets.permitted())?,
        inheritable: mask(sets.inheritable())?,
        ambient: mask(sets.ambient())?,
    })
}

#[allow(clippy::unnecessary_cast)] // C libraries differ in its type
fn rlimit(kind: PosixRlimitType) -> u32 {
    let number = match kind {
        PosixRlimitType::RlimitCpu => libc::RLIMIT_CPU,
        PosixRlimitType::RlimitFsize => libc::RLIMIT_FSIZE,
        PosixRlimitType::RlimitData => libc::RLIMIT_DATA,
        PosixRlimitType::RlimitStack => libc::RLIMIT_STACK,
        PosixRlimitType::RlimitCore => libc::RLIMIT_CORE,
        PosixRlimitType::RlimitRss => libc::RLIMIT_RSS,
        PosixRlimitType::RlimitNproc => libc::RLIMIT_NPROC,
        PosixRlimitType::RlimitNofile => libc::RLIMIT_NOFILE,
        PosixRlimitType::RlimitMemlock => libc::RLIMIT_MEMLOCK,
        PosixRlimitType::RlimitAs => libc::RLIMIT_AS,
        PosixRlimitType::RlimitLocks => libc::RLIMIT_LOCKS,
        PosixRlimitType::RlimitSigpending => libc::RLIMIT_SIGPENDING,
        PosixRlimitType::RlimitMsgqueue => libc::RLIMIT_MSGQUEUE,
        PosixRlimitType::RlimitNice => libc::RLIMIT_NICE,
        PosixRlimitType::RlimitRtprio => libc::RLIMIT_RTPRIO,
        PosixRlimitType::RlimitRttime => libc::RLIMIT_RTTIME,
    };
    number as u32
}

fn rlimits(process: &OciProcess) -> Result<Vec<Rlimit>, PlanError> {
    let mut all: Vec<Rlimit> = Vec::new();
    for limit in process.rlimits().iter().flatten() {
        let made = Rlimit {
            resource: rlimit(limit.typ()),
            soft: limit.soft(),
            hard: limit.hard(),
        };
        if all.iter().any(|known| known.resource == made.resource) {
            return Err(PlanError(format!("rlimit {} is listed twice", limit.typ())));
        }
        if made.soft > made.hard {
            return Err(PlanError(format!(
                "rlimit {}: soft limit {} is above hard limit {}",
                limit.typ(),
                made.soft,
                made.hard
            )));
        }
        all.push(made);
    }
    Ok(all)
}

/// A label or profile; none where it is empty.
fn label(name: Option<&String>, what: &str) -> Result<Option<String>, PlanError> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    checked(name, 4096, what)?;
    Ok(Some(name.clone()))
}

/// Of entries with one name the last, as runc has it: programs would take the first.
fn last_of_each(mut env: Vec<String>) -> Vec<String> {
    let mut known = std::collections::HashSet::new();
    env.reverse();
    env.retain(|entry| match entry.split_once('=') {
        Some((name, _)) => known.insert(name.to_owned()),
        None => true,
    });
    env.reverse();
    env
}

/// An id that can be had: the highest number means "none" to the kernel, which would leave us root.
fn id(id: u32, what: &str) -> Result<u32, PlanError> {
    if id == u32::MAX {
        return Err(PlanError(format!("{what} {id} is out of range")));
    }
    Ok(id)
}

/// Compiles a process, with what its container prescribes for all (seccomp filter, personality).
pub fn oci_process(process: &OciProcess, linux: Option<&Linux>) -> Result<Process, PlanError> {
    let args = process.args().clone().unwrap_or_default();
    if args.first().is_none_or(String::is_empty) {
        return Err(invalid("no command specified"));
    }
    let env = last_of_each(process.env().clone().unwrap_or_default());
    for (strings, what) in [(&args, "argument"), (&env, "environment entry")] {
        for string in strings {
            checked(string, MAX_STRING, what)?;
        }
    }
    let cwd = text(process.cwd())?;
    if !cwd.starts_with('/') {
        return Err(PlanError(format!("cwd {cwd:?} is not absolute")));
    }
    let seccomp = match linux.and_then(|linux| linux.seccomp().as_ref()) {
        Some(profile) => Some(profile_filter(profile).map_err(|e| PlanError(e.to_string()))?),
        None => None,
    };
    let user = process.user();
    let groups = user.additional_gids().clone().unwrap_or_default();
    for group in &groups {
        id(*group, "additional group")?;
    }
    let umask = user.umask().unwrap_or(0o022);
    if umask > 0o777 {
        return Err(PlanError(format!("umask {umask:#o} is out of range")));
    }
    let oom_score_adj = process.oom_score_adj();
    if let Some(score) = oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
        return Err(PlanError(format!("oomScoreAdj {score} is not -1000 to 1000")));
    }
    let pinned = process.exec_cpu_affinity().as_ref();
    let size = |n: u64| u16::try_from(n).map_err(|_| PlanError(format!("consoleSize: {n} is out of range")));
    let terminal = process.terminal().unwrap_or(false);
    let console = match process.console_size() {
        Some(console) if terminal => Some((size(console.width())?, size(console.height())?)),
        _ => None,
    };
    Ok(Process {
        args,
        env,
        cwd,
        uid: id(user.uid(), "user id")?,
        gid: id(user.gid(), "group id")?,
        groups,
        capabilities: capabilities(process)?,
        no_new_privileges: process.no_new_privileges().unwrap_or(false),
        seccomp,
        rlimits: rlimits(process)?,
        oom_score_adj,
        umask,
        terminal,
        size: console.filter(|(columns, rows)| *columns > 0 && *rows > 0),
        // "unconfined" is what a process is without a profile.
        apparmor: label(process.apparmor_profile().as_ref(), "apparmorProfile")?
            .filter(|profile| profile != "unconfined"),
        selinux: label(process.selinux_label().as_ref(), "selinuxLabel")?,
        scheduler: process.scheduler().as_ref().map(scheduler).transpose()?,
        io_priority: io_priority(process)?,
        personality: linux
            .and_then(|linux| linux.personality().as_ref())
            .map(personality)
            .transpose()?,
        initial_affinity: affinity(pinned.and_then(|p| p.initial().as_ref()), "execCPUAffinity")?,
        final_affinity: affinity(
            pinned.and_then(|p| p.cpu_affinity_final().as_ref()),
            "execCPUAffinity",
        )?,
        memory_policy: linux
            .and_then(|linux| linux.memory_policy().as_ref())
            .map(memory_policy)
            .transpose()?,
        preserve_fds: 0,
    })
}
