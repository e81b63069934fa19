//! Seccomp profiles in OCI form (`config-linux.md`, seccomp; also Kubernetes' Localhost profiles) to filters.
//!
//! A filter of our compiler has one action for what matches and one for the rest. A profile with more actions becomes
//! several filters, of which the kernel takes the strictest answer: first the default against everything that is not
//! the default, then each further action for its own rules.

use std::collections::BTreeMap;

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompOperator as Operator,
};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompRule,
};

use super::{SeccompError, compile, encode, not_implemented, number};

/// Rules by system call; an empty list matches always.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn action(action: Action, errno: Option<u32>) -> Result<SeccompAction, SeccompError> {
    let errno = errno.unwrap_or(libc::EPERM as u32);
    Ok(match action {
        Action::ScmpActKill | Action::ScmpActKillThread => SeccompAction::KillThread,
        Action::ScmpActKillProcess => SeccompAction::KillProcess,
        Action::ScmpActTrap => SeccompAction::Trap,
        Action::ScmpActErrno => SeccompAction::Errno(errno),
        Action::ScmpActTrace => SeccompAction::Trace(errno),
        Action::ScmpActLog => SeccompAction::Log,
        Action::ScmpActAllow => SeccompAction::Allow,
        Action::ScmpActNotify => return Err(SeccompError::Unsupported("SCMP_ACT_NOTIFY".to_owned())),
    })
}

fn condition(arg: &LinuxSeccompArg) -> Result<SeccompCondition, SeccompError> {
    let index =
        u8::try_from(arg.index()).map_err(|_| SeccompError::Unsupported("argument index".to_owned()))?;
    let (value, second) = (arg.value(), arg.value_two().unwrap_or(0));
    // Our compiler masks both sides: bits outside the mask would be ignored, where the profile means that nothing matches.
    if arg.op() == Operator::ScmpCmpMaskedEq && second & !value != 0 {
        return Err(SeccompError::Unsupported(format!(
            "{second:#x} is never what {value:#x} leaves of an argument"
        )));
    }
    let (op, value) = match arg.op() {
        Operator::ScmpCmpNe => (Op::Ne, value),
        Operator::ScmpCmpLt => (Op::Lt, value),
        Operator::ScmpCmpLe => (Op::Le, value),
        Operator::ScmpCmpEq => (Op::Eq, value),
        Operator::ScmpCmpGe => (Op::Ge, value),
        Operator::ScmpCmpGt => (Op::Gt, value),
        Operator::ScmpCmpMaskedEq => (Op::MaskedEq(value), second),
    };
    Ok(SeccompCondition::new(index, Len::Qword, op, value)?)
}

/// The rules of one entry: its conditions all hold; conditions on the same argument are alternatives (as in runc).
fn rules(args: &[LinuxSeccompArg]) -> Result<Vec<SeccompRule>, SeccompError> {
    let mut indices: Vec<usize> = args.iter().map(LinuxSeccompArg::index).collect();
    indices.sort_unstable();
    let repeated = indices.windows(2).any(|pair| pair[0] == pair[1]);
    let conditions = args.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
    if repeated {
        return conditions
            .into_iter()
            .map(|c| Ok(SeccompRule::new(vec![c])?))
            .collect();
    }
    Ok(if conditions.is_empty() {
        Vec::new()
    } else {
        vec![SeccompRule::new(conditions)?]
    })
}

fn add(all: &mut Rules, number: i64, more: &[SeccompRule]) {
    match all.get_mut(&number) {
        Some(known) if known.is_empty() => {} // matches always already
        Some(known) if more.is_empty() => known.clear(),
        Some(known) => known.extend_from_slice(more),
        None => drop(all.insert(number, more.to_vec())),
    }
}

/// Compiles a profile; unknown system calls are left out, as libseccomp does.
pub fn profile_filters(profile: &LinuxSeccomp) -> Result<Vec<Vec<u64>>, SeccompError> {
    let default = action(profile.default_action(), profile.default_errno_ret())?;
    if profile.listener_path().is_some() {
        return Err(SeccompError::Unsupported("listenerPath".to_owned()));
    }
    let mut excepted = Rules::new();
    let mut others: Vec<(SeccompAction, Rules)> = Vec::new();
    for entry in profile.syscalls().iter().flatten() {
        let what = action(entry.action(), entry.errno_ret())?;
        if what == default {
            continue;
        }
        let matching = rules(entry.args().as_deref().unwrap_or_default())?;
        for number in entry.names().iter().filter_map(|name| number(name)) {
            add(&mut excepted, number, &matching);
            if what != SeccompAction::Allow {
                let at = others
                    .iter()
                    .position(|(known, _)| *known == what)
                    .unwrap_or_else(|| {
                        others.push((what.clone(), Rules::new()));
                        others.len() - 1
                    });
                add(&mut others[at].1, number, &matching);
            }
        }
    }
    let mut filters = Vec::new();
    if default != SeccompAction::Allow {
        let mut words = match default {
            SeccompAction::Errno(_) => not_implemented(None),
            _ => Vec::new(),
        };
        words.extend(encode(&compile(excepted, default, SeccompAction::Allow)?));
        filters.push(words);
    }
    for (what, rules) in others {
        filters.push(encode(&compile(rules, SeccompAction::Allow, what)?).collect());
    }
    Ok(filters)
}
