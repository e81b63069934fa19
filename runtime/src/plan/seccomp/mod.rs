//! Seccomp filters: profiles to BPF. The default profile is a table. Compiling takes well under a millisecond, so nothing
//! is cached on disk.

mod architectures;
mod default;
mod profile;
mod program;

pub use architectures::ARCHITECTURES;
pub use profile::{ACTIONS, FLAGS, OPERATORS, profile_filter};

use std::collections::BTreeMap;

use architectures::{Abi, X32_BIT};
use program::{ALLOW, Check, Compare, ERRNO, Rule, Section, compile};

use crate::launch::SeccompFilter;

/// A profile that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeccompError {
    /// The program has more instructions than the kernel takes (4096).
    #[error("seccomp profile: a program of {0} instructions is too large")]
    TooLarge(usize),
    /// The profile is wrong, or contradicts itself.
    #[error("seccomp profile: {0}")]
    Invalid(String),
}

/// `CAP_SYS_ADMIN`.
const SYS_ADMIN: u64 = 1 << 21;
/// All `CLONE_NEW*` flags: what `clone` may not ask for without CAP_SYS_ADMIN.
const NAMESPACE_FLAGS: u64 = 0x7e02_0000;
/// `AF_VSOCK`: reaches the hypervisor, past any network namespace.
const AF_VSOCK: u64 = 40;
/// Mask of an `int` argument.
const INT: u64 = 0xffff_ffff;
/// Personalities that programs use: Linux, 32 bit, UNAME26, both, and the query.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

fn always(action: u32) -> Rule {
    Rule {
        checks: Vec::new(),
        action,
    }
}

/// When the first argument, masked, has this value.
fn when(mask: u64, value: u64, action: u32) -> Rule {
    let check = Check {
        argument: 0,
        compare: Compare::Masked(mask),
        value,
    };
    Rule {
        checks: vec![check],
        action,
    }
}

/// The default filter of a container with this bounding set: an allow-list, `EPERM` for the rest, `ENOSYS` for calls
/// that this table does not know yet (so that C libraries fall back to older ones) and for `clone3`, whose flags a
/// filter cannot see. Another architecture ends the process.
pub fn default_filter(capabilities: u64) -> Result<SeccompFilter, SeccompError> {
    let abi = Abi::Native;
    let mut rules: BTreeMap<u32, Vec<Rule>> = BTreeMap::new();
    let mut set = |name: &str, list: Vec<Rule>| {
        if let Some(number) = abi.number(name) {
            rules.insert(number, list);
        }
    };
    for name in default::ALLOWED {
        set(name, vec![always(ALLOW)]);
    }
    for (capability, names) in default::WITH_CAPABILITY {
        if capabilities & (1 << capability) != 0 {
            names.iter().for_each(|name| set(name, vec![always(ALLOW)]));
        }
    }
    let eperm = ERRNO | libc::EPERM as u32;
    let nosys = ERRNO | libc::ENOSYS as u32;
    if capabilities & SYS_ADMIN == 0 {
        set("clone", vec![when(NAMESPACE_FLAGS, 0, ALLOW)]);
        set("clone3", vec![always(nosys)]);
    }
    // The kernel takes an int here, whatever is in the register's upper half.
    let personalities = PERSONALITIES.map(|value| when(INT, value, ALLOW));
    set("personality", personalities.to_vec());
    set("socket", vec![when(INT, AF_VSOCK, eperm), always(ALLOW)]);
    let mut ranges = BTreeMap::from([(0, eperm), (abi.highest() + 1, nosys), (u32::MAX, eperm)]);
    if cfg!(target_arch = "x86_64") {
        ranges.insert(X32_BIT, nosys);
    }
    let section = Section {
        architecture: abi.audit(),
        wide: true,
        rules,
        ranges,
        otherwise: eperm,
    };
    Ok(SeccompFilter {
        program: compile(&[section])?,
        flags: 0,
        listener: None,
    })
}

#[cfg(test)]
mod tests;
