//! Seccomp profiles in OCI form (`config-linux.md`, seccomp; also Kubernetes' Localhost profiles) to filters.
//!
//! Of the rules that match a call, a conditional one goes before an unconditional one, and among equals the strictest
//! wins. Names that an architecture does not know are left out, as libseccomp does.

use std::collections::{BTreeMap, BTreeSet};

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompFilterFlag as Flag,
    LinuxSeccompOperator as Operator, LinuxSyscall,
};

use super::SeccompError;
use super::architectures::{Abi, X32_BIT, abi, multiplexed};
use super::program::{
    ALLOW, Check, Compare, ERRNO, KILL_PROCESS, KILL_THREAD, LOG, NOTIFY, Rule, Section, TRACE, TRAP, compile,
};
use crate::launch::{SeccompFilter, SeccompListener};

/// Actions, in the words of profiles.
pub const ACTIONS: &[&str] = &[
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

/// Comparisons, in the words of profiles.
pub const OPERATORS: &[&str] = &[
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// Flags, in the words of profiles.
pub const FLAGS: &[&str] = &[
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

const FLAG_TSYNC: u32 = 1;
const FLAG_LOG: u32 = 1 << 1;
const FLAG_SPEC_ALLOW: u32 = 1 << 2;
const FLAG_TSYNC_ESRCH: u32 = 1 << 4;
const FLAG_WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// Largest errno that a filter can return (`MAX_ERRNO`).
const MAX_ERRNO: u32 = 4095;

fn action(action: Action, errno: Option<u32>) -> Result<u32, SeccompError> {
    let invalid = |why: String| Err(SeccompError::Invalid(why));
    match action {
        Action::ScmpActErrno | Action::ScmpActTrace => {}
        other if errno.is_some() => return invalid(format!("{other} takes no errno")),
        _ => {}
    }
    let errno = errno.unwrap_or(libc::EPERM as u32);
    if action == Action::ScmpActErrno && errno > MAX_ERRNO || errno > 0xffff {
        return invalid(format!("errno {errno} is out of range"));
    }
    Ok(match action {
        Action::ScmpActKill | Action::ScmpActKillThread => KILL_THREAD,
        Action::ScmpActKillProcess => KILL_PROCESS,
        Action::ScmpActTrap => TRAP,
        Action::ScmpActErrno => ERRNO | errno,
        Action::ScmpActTrace => TRACE | errno,
        Action::ScmpActLog => LOG,
        Action::ScmpActAllow => ALLOW,
        Action::ScmpActNotify => NOTIFY,
    })
}

fn check(arg: &LinuxSeccompArg) -> Result<Check, SeccompError> {
    let argument = u8::try_from(arg.index()).ok().filter(|index| *index < 6);
    let argument = argument
        .ok_or_else(|| SeccompError::Invalid(format!("argument index {} is not 0-5", arg.index())))?;
    let (value, second) = (arg.value(), arg.value_two().unwrap_or(0));
    if arg.op() == Operator::ScmpCmpMaskedEq && second & !value != 0 {
        return Err(SeccompError::Invalid(format!(
            "{second:#x} is never what {value:#x} leaves of an argument"
        )));
    }
    let (compare, value) = match arg.op() {
        Operator::ScmpCmpNe => (Compare::NotEqual, value),
        Operator::ScmpCmpLt => (Compare::Less, value),
        Operator::ScmpCmpLe => (Compare::AtMost, value),
        Operator::ScmpCmpEq => (Compare::Equal, value),
        Operator::ScmpCmpGe => (Compare::AtLeast, value),
        Operator::ScmpCmpGt => (Compare::Greater, value),
        Operator::ScmpCmpMaskedEq => (Compare::Masked(value), second),
    };
    Ok(Check {
        argument,
        compare,
        value,
    })
}

/// The rules of one entry: its conditions all hold; conditions on the same argument are alternatives (as in runc).
fn rules(entry: &LinuxSyscall) -> Result<Vec<Rule>, SeccompError> {
    let action = action(entry.action(), entry.errno_ret())?;
    let args = entry.args().as_deref().unwrap_or_default();
    let checks = args.iter().map(check).collect::<Result<Vec<_>, _>>()?;
    let distinct: BTreeSet<u8> = checks.iter().map(|check| check.argument).collect();
    if distinct.len() < checks.len() {
        let alone = |check| Rule {
            checks: vec![check],
            action,
        };
        return Ok(checks.into_iter().map(alone).collect());
    }
    Ok(vec![Rule { checks, action }])
}

/// Adds one entry's rules for one architecture.
fn add(calls: &mut Vec<(u32, Rule)>, abi: Abi, name: &str, rules: &[Rule]) {
    let mut push = |number, rule: Rule| calls.push((number, rule));
    if let Some(number) = abi.number(name) {
        for rule in rules {
            push(number, rule.clone());
        }
    }
    // The same calls behind a multiplexer, whose first argument tells them apart. Arguments are behind a pointer there,
    // so that rules with conditions cannot be carried over (libseccomp leaves them out, too).
    if abi == Abi::Compat
        && let Some((multiplexer, value)) = multiplexed(name)
        && let Some(number) = abi.number(multiplexer)
    {
        for rule in rules.iter().filter(|rule| rule.checks.is_empty()) {
            let which = Check {
                argument: 0,
                compare: Compare::Equal,
                value,
            };
            let checks = vec![which];
            push(
                number,
                Rule {
                    checks,
                    ..rule.clone()
                },
            );
        }
    }
}

/// Rules by number. Sorted first: a map that is filled in the order of names would be rearranged again and again.
fn by_number(mut listed: Vec<(u32, Rule)>) -> BTreeMap<u32, Vec<Rule>> {
    listed.sort_by_key(|(number, _)| *number); // stable: rules keep their order
    let mut calls: Vec<(u32, Vec<Rule>)> = Vec::with_capacity(listed.len());
    for (number, rule) in listed {
        match calls.last_mut() {
            Some((last, known)) if *last == number => {
                if !known.contains(&rule) {
                    known.push(rule);
                }
            }
            _ => calls.push((number, vec![rule])),
        }
    }
    calls.into_iter().collect()
}

/// Answers for numbers without rules: the default, but `ENOSYS` for calls newer than any in the profile where the
/// default is an error (so that C libraries fall back to older ones, as runc has it).
fn ranges(abi: Abi, calls: &BTreeMap<u32, Vec<Rule>>, default: u32) -> BTreeMap<u32, u32> {
    let base = if abi == Abi::X32 { X32_BIT } else { 0 };
    let mut ranges = BTreeMap::from([(base, default)]);
    let errno = default & 0xffff_0000 == ERRNO;
    let highest = calls.keys().rfind(|n| **n & 0xffff < 0xf000);
    if let Some(highest) = highest.filter(|_| errno) {
        ranges.insert(highest + 1, ERRNO | libc::ENOSYS as u32);
        if abi == Abi::Compat {
            ranges.insert(0xf000, default); // numbers of ARM's own
        }
    }
    ranges
}

/// The sections of a program for these architectures.
fn sections(
    abis: &BTreeSet<Abi>,
    default: u32,
    all: &BTreeMap<Abi, BTreeMap<u32, Vec<Rule>>>,
) -> Vec<Section> {
    let none = BTreeMap::new();
    let calls = |abi| all.get(&abi).unwrap_or(&none);
    let mut sections = Vec::new();
    for abi in [Abi::Native, Abi::Compat] {
        if !abis.contains(&abi) {
            continue;
        }
        let mut section = Section {
            architecture: abi.audit(),
            wide: abi != Abi::Compat,
            rules: calls(abi).clone(),
            ranges: ranges(abi, calls(abi), default),
            otherwise: default,
        };
        if abi == Abi::Native && cfg!(target_arch = "x86_64") {
            if abis.contains(&Abi::X32) {
                section.rules.extend(calls(Abi::X32).clone());
                section.ranges.extend(ranges(Abi::X32, calls(Abi::X32), default));
            } else {
                section.ranges.insert(X32_BIT, KILL_PROCESS);
            }
        }
        section.ranges.insert(u32::MAX, default); // -1: a tracer skips the call
        sections.push(section);
    }
    sections
}

fn flags(profile: &LinuxSeccomp, notifies: bool) -> u32 {
    let listed = profile.flags().iter().flatten();
    let mut flags = listed.fold(0, |flags, flag| {
        flags
            | match flag {
                Flag::SeccompFilterFlagLog => FLAG_LOG,
                Flag::SeccompFilterFlagTsync => FLAG_TSYNC,
                Flag::SeccompFilterFlagSpecAllow => FLAG_SPEC_ALLOW,
                Flag::SeccompFilterFlagWaitKillableRecv => FLAG_WAIT_KILLABLE_RECV,
            }
    });
    if notifies && flags & FLAG_TSYNC != 0 {
        flags |= FLAG_TSYNC_ESRCH; // else the two results of the call exclude each other
    }
    flags
}

/// Where notifications go; an error when the profile contradicts itself.
fn listener(profile: &LinuxSeccomp, notifies: bool) -> Result<Option<SeccompListener>, SeccompError> {
    let invalid = |why: &str| Err(SeccompError::Invalid(why.to_owned()));
    let path = profile.listener_path().as_ref().map(|path| path.to_str());
    match path {
        None | Some(Some(""))
            if profile
                .listener_metadata()
                .as_ref()
                .is_some_and(|m| !m.is_empty()) =>
        {
            invalid("listenerMetadata needs listenerPath")
        }
        None | Some(Some("")) if notifies => invalid("SCMP_ACT_NOTIFY needs listenerPath"),
        Some(None) => invalid("listenerPath is not UTF-8"),
        Some(Some(path)) if notifies => Ok(Some(SeccompListener {
            path: path.to_owned(),
            metadata: profile.listener_metadata().clone().unwrap_or_default(),
        })),
        _ => Ok(None),
    }
}

/// Compiles a profile.
pub fn profile_filter(profile: &LinuxSeccomp) -> Result<SeccompFilter, SeccompError> {
    let invalid = |why: &str| Err(SeccompError::Invalid(why.to_owned()));
    let default = action(profile.default_action(), profile.default_errno_ret())?;
    if default == NOTIFY {
        return invalid("SCMP_ACT_NOTIFY cannot be the default action");
    }
    let mut abis = BTreeSet::from([Abi::Native]);
    abis.extend(profile.architectures().iter().flatten().filter_map(|a| abi(*a)));
    if profile
        .flags()
        .iter()
        .flatten()
        .any(|f| *f == Flag::SeccompFilterFlagWaitKillableRecv)
        && !profile
            .syscalls()
            .iter()
            .flatten()
            .any(|entry| entry.action() == Action::ScmpActNotify)
    {
        return invalid("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs SCMP_ACT_NOTIFY");
    }
    let mut listed: BTreeMap<Abi, Vec<(u32, Rule)>> = BTreeMap::new();
    let mut notifies = false;
    for entry in profile.syscalls().iter().flatten() {
        let rules = rules(entry)?;
        if entry.action() == Action::ScmpActNotify {
            notifies = true;
            // The listener is handed on with it, before anybody could answer.
            if entry.names().iter().any(|name| name == "sendmsg") {
                return invalid("SCMP_ACT_NOTIFY cannot be used for sendmsg");
            }
        }
        for abi in &abis {
            let calls = listed.entry(*abi).or_default();
            entry
                .names()
                .iter()
                .for_each(|name| add(calls, *abi, name, &rules));
        }
    }
    let all = listed
        .into_iter()
        .map(|(abi, calls)| (abi, by_number(calls)))
        .collect();
    Ok(SeccompFilter {
        program: compile(&sections(&abis, default, &all))?,
        flags: flags(profile, notifies),
        listener: listener(profile, notifies)?,
    })
}
