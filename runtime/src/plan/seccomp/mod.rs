//! Seccomp filters: profiles to BPF. The default profile is a table; compiled filters are cached by the caller.

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod numbers;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod numbers;

mod default;
mod profile;

pub use profile::profile_filters;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// A profile that cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// The compiler's complaint.
    #[error("compiling the seccomp filter: {0}")]
    Compile(#[from] seccompiler::BackendError),
    /// This profile needs something that is not supported.
    #[error("seccomp profile: {0}")]
    Unsupported(String),
}

/// `CAP_SYS_ADMIN`.
const SYS_ADMIN: u64 = 1 << 21;
/// All `CLONE_NEW*` flags: what `clone` may not ask for without CAP_SYS_ADMIN.
const NAMESPACE_FLAGS: u64 = 0x7e02_0000;
/// `AF_VSOCK`: reaches the hypervisor, past any network namespace.
const AF_VSOCK: u64 = 40;
/// Personalities that programs use: Linux, 32 bit, UNAME26, both, and the query.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Number of a system call.
fn number(name: &str) -> Option<i64> {
    numbers::TABLE
        .binary_search_by_key(&name, |(known, _)| known)
        .ok()
        .map(|at| numbers::TABLE[at].1)
}

fn condition(argument: u8, length: Len, op: Op, value: u64) -> Result<SeccompRule, SeccompError> {
    Ok(SeccompRule::new(vec![SeccompCondition::new(
        argument, length, op, value,
    )?])?)
}

/// The default filter of a container with this bounding set: an allow-list, `EPERM` for the rest, `ENOSYS` for calls
/// that this table does not know yet (so that C libraries fall back to older ones) and for `clone3`, whose flags a
/// filter cannot see.
pub fn default_filter(capabilities: u64) -> Result<Vec<u64>, SeccompError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut allow = |name: &str| {
        if let Some(number) = number(name) {
            rules.insert(number, Vec::new()); // no conditions: always
        }
    };
    for name in default::ALLOWED {
        allow(name);
    }
    for (capability, names) in default::WITH_CAPABILITY {
        if capabilities & (1 << capability) != 0 {
            names.iter().for_each(|name| allow(name));
        }
    }
    let admin = capabilities & SYS_ADMIN != 0;
    if let Some(clone) = number("clone").filter(|_| !admin) {
        rules.insert(
            clone,
            vec![condition(0, Len::Qword, Op::MaskedEq(NAMESPACE_FLAGS), 0)?],
        );
    }
    if let Some(personality) = number("personality") {
        let values = PERSONALITIES
            .iter()
            .map(|value| condition(0, Len::Dword, Op::Eq, *value));
        rules.insert(personality, values.collect::<Result<_, _>>()?);
    }
    if let Some(socket) = number("socket") {
        rules.insert(socket, vec![condition(0, Len::Dword, Op::Ne, AF_VSOCK)?]);
    }
    let program = compile(
        rules,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
    )?;
    let unknown = if admin { None } else { number("clone3") };
    let mut words = not_implemented(unknown);
    words.extend(encode(&program));
    Ok(words)
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, SeccompError> {
    let filter = SeccompFilter::new(rules, otherwise, matched, std::env::consts::ARCH.try_into()?)?;
    Ok(filter.try_into()?)
}

/// One `struct sock_filter` as the word it is in memory.
fn word(code: u16, jump_true: u8, jump_false: u8, k: u32) -> u64 {
    let [c0, c1] = code.to_ne_bytes();
    let [k0, k1, k2, k3] = k.to_ne_bytes();
    u64::from_ne_bytes([c0, c1, jump_true, jump_false, k0, k1, k2, k3])
}

fn encode(program: &BpfProgram) -> impl Iterator<Item = u64> {
    program.iter().map(|i| word(i.code, i.jt, i.jf, i.k))
}

/// The head of a filter: `ENOSYS` for numbers above the table's highest, and for `also`. Falls through to what follows;
/// a foreign architecture is left to that, too.
fn not_implemented(also: Option<i64>) -> Vec<u64> {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_GREATER: u16 = 0x25;
    const JUMP_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const ENOSYS: u32 = 0x0005_0000 | libc::ENOSYS as u32;
    #[cfg(target_arch = "x86_64")]
    const ARCH: u32 = 0xc000_003e;
    #[cfg(target_arch = "aarch64")]
    const ARCH: u32 = 0xc000_00b7;
    let highest = numbers::TABLE
        .iter()
        .map(|(_, number)| *number)
        .max()
        .unwrap_or(0) as u32;
    let mut program = vec![
        word(LOAD_WORD, 0, 0, 4), // seccomp_data.arch
        word(JUMP_EQUAL, 0, if also.is_some() { 4 } else { 3 }, ARCH),
        word(LOAD_WORD, 0, 0, 0), // seccomp_data.nr
    ];
    if let Some(number) = also {
        program.push(word(JUMP_EQUAL, 1, 0, number as u32));
    }
    program.push(word(JUMP_GREATER, 0, 1, highest));
    program.push(word(RETURN, 0, 0, ENOSYS));
    program
}

#[cfg(test)]
mod tests;
