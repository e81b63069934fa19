//! `process`: a container's first, or one that joins it.

use oci_spec::runtime::{
    Capabilities as CapabilitySet, IOPriorityClass, Linux, LinuxMemoryPolicy, LinuxPersonality,
    LinuxPersonalityDomain, LinuxSchedulerFlag, LinuxSchedulerPolicy, MemoryPolicyFlagType,
    MemoryPolicyModeType, PosixRlimitType, Process as OciProcess, Scheduler as OciScheduler,
};

use super::{MAX_STRING, PlanError, checked, invalid, text};
use crate::launch::{Capabilities, Process, Rlimit, Scheduler};
use crate::plan::{ALL_CAPABILITIES, capability_bit, profile_filter};

/// Highest processor or memory node that may be named.
const MAX_NUMBER: u32 = 8191;

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

fn scheduler(scheduler: &OciScheduler) -> Result<Scheduler, PlanError> {
    use LinuxSchedulerPolicy as Policy;
    let policy = *scheduler.policy();
    let number = match policy {
        Policy::SchedOther => libc::SCHED_OTHER,
        Policy::SchedFifo => libc::SCHED_FIFO,
        Policy::SchedRr => libc::SCHED_RR,
        Policy::SchedBatch => libc::SCHED_BATCH,
        Policy::SchedIso => return Err(invalid("scheduler: Linux does not have SCHED_ISO")),
        Policy::SchedIdle => libc::SCHED_IDLE,
        Policy::SchedDeadline => libc::SCHED_DEADLINE,
    };
    let realtime = matches!(policy, Policy::SchedFifo | Policy::SchedRr);
    let nice = scheduler.nice().unwrap_or(0);
    let priority = scheduler.priority().unwrap_or(0);
    if !(-20..20).contains(&nice) {
        return Err(PlanError(format!("scheduler: nice {nice} is not -20 to 19")));
    }
    if priority != 0 && !realtime {
        return Err(PlanError(format!("scheduler: {policy} has no priority")));
    }
    let priority = u32::try_from(priority)
        .ok()
        .filter(|priority| *priority < 100)
        .ok_or_else(|| PlanError(format!("scheduler: priority {priority} is not 0 to 99")))?;
    let times = [scheduler.runtime(), scheduler.deadline(), scheduler.period()];
    if policy != Policy::SchedDeadline && times.iter().any(|time| time.is_some_and(|t| t != 0)) {
        return Err(PlanError(format!(
            "scheduler: {policy} has no runtime, deadline or period"
        )));
    }
    // `SCHED_FLAG_*` of linux/sched.h.
    let flags = scheduler.flags().iter().flatten().fold(0, |flags, flag| {
        flags
            | match flag {
                LinuxSchedulerFlag::SchedResetOnFork => 0x01,
                LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
                LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
                LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
                LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
                LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
                LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
            }
    });
    Ok(Scheduler {
        policy: number as u32,
        flags,
        nice,
        priority,
        runtime: times[0].unwrap_or(0),
        deadline: times[1].unwrap_or(0),
        period: times[2].unwrap_or(0),
    })
}

fn io_priority(process: &OciProcess) -> Result<Option<u32>, PlanError> {
    let Some(wanted) = process.io_priority() else {
        return Ok(None);
    };
    let level = u32::try_from(wanted.priority()).ok().filter(|level| *level < 8);
    let level = level.ok_or_else(|| {
        PlanError(format!(
            "ioPriority: {} is not a level of 0 to 7",
            wanted.priority()
        ))
    })?;
    let class = match wanted.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    Ok(Some(class << 13 | level))
}

/// A list such as `0-3,7` as bits, lowest first.
fn bits(list: &str, what: &str) -> Result<Vec<u64>, PlanError> {
    let wrong = || {
        PlanError(format!(
            "{what}: {list:?} is not a list of numbers and ranges up to {MAX_NUMBER}"
        ))
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u32>()
            .ok()
            .filter(|n| digits && *n <= MAX_NUMBER)
            .ok_or_else(wrong)
    };
    let mut bits = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(wrong());
        }
        let words = last as usize / 64 + 1;
        if bits.len() < words {
            bits.resize(words, 0u64);
        }
        for n in first..=last {
            bits[n as usize / 64] |= 1 << (n % 64);
        }
    }
    Ok(bits)
}

fn affinity(list: Option<&String>, what: &str) -> Result<Vec<u64>, PlanError> {
    match list.filter(|list| !list.is_empty()) {
        Some(list) => bits(list, what),
        None => Ok(Vec::new()),
    }
}

fn personality(personality: &LinuxPersonality) -> Result<u64, PlanError> {
    if personality
        .flags()
        .as_ref()
        .is_some_and(|flags| !flags.is_empty())
    {
        return Err(invalid("linux.personality: no flags are defined"));
    }
    Ok(match personality.domain() {
        LinuxPersonalityDomain::PerLinux => 0x0000,
        LinuxPersonalityDomain::PerLinux32 => 0x0008,
    })
}

fn memory_policy(policy: &LinuxMemoryPolicy) -> Result<(u32, Vec<u64>), PlanError> {
    use MemoryPolicyModeType as Mode;
    let mode = match policy.mode() {
        Mode::MpolDefault => 0,
        Mode::MpolPreferred => 1,
        Mode::MpolBind => 2,
        Mode::MpolInterleave => 3,
        Mode::MpolLocal => 4,
        Mode::MpolPreferredMany => 5,
        Mode::MpolWeightedInterleave => 6,
    };
    let flags = policy.flags().iter().flatten().fold(0, |flags, flag| {
        flags
            | match flag {
                MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
                MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
                MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
            }
    });
    let nodes = affinity(policy.nodes().as_ref(), "linux.memoryPolicy")?;
    let wants_nodes = matches!(
        policy.mode(),
        Mode::MpolBind | Mode::MpolInterleave | Mode::MpolWeightedInterleave | Mode::MpolPreferredMany
    );
    let takes_none = matches!(policy.mode(), Mode::MpolDefault | Mode::MpolLocal);
    if wants_nodes && nodes.is_empty() || takes_none && !nodes.is_empty() {
        return Err(PlanError(format!(
            "linux.memoryPolicy: {} and these nodes contradict each other",
            policy.mode()
        )));
    }
    Ok((mode | flags, nodes))
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
