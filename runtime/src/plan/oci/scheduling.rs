//! Where and when a process runs: scheduler, I/O priority, processors, memory nodes, personality.

use oci_spec::runtime::{
    IOPriorityClass, LinuxMemoryPolicy, LinuxPersonality, LinuxPersonalityDomain, LinuxSchedulerFlag,
    LinuxSchedulerPolicy, MemoryPolicyFlagType, MemoryPolicyModeType, Process as OciProcess,
    Scheduler as OciScheduler,
};

use super::{PlanError, invalid};
use crate::launch::Scheduler;

/// Highest processor or memory node that may be named.
const MAX_NUMBER: u32 = 8191;

pub(super) fn scheduler(scheduler: &OciScheduler) -> Result<Scheduler, PlanError> {
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

pub(super) fn io_priority(process: &OciProcess) -> Result<Option<u32>, PlanError> {
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

pub(super) fn affinity(list: Option<&String>, what: &str) -> Result<Vec<u64>, PlanError> {
    match list.filter(|list| !list.is_empty()) {
        Some(list) => bits(list, what),
        None => Ok(Vec::new()),
    }
}

pub(super) fn personality(personality: &LinuxPersonality) -> Result<u64, PlanError> {
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

pub(super) fn memory_policy(policy: &LinuxMemoryPolicy) -> Result<(u32, Vec<u64>), PlanError> {
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
