//! The architectures whose calls a filter of this machine can meet, and their numbers.

use oci_spec::runtime::Arch;

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod native;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod native;

#[cfg(target_arch = "aarch64")]
#[path = "arm.rs"]
mod compat;
#[cfg(target_arch = "x86_64")]
#[path = "x86.rs"]
mod compat;

/// `AUDIT_ARCH_X86_64`.
#[cfg(target_arch = "x86_64")]
const NATIVE_AUDIT: u32 = 0xc000_003e;
/// `AUDIT_ARCH_I386`.
#[cfg(target_arch = "x86_64")]
const COMPAT_AUDIT: u32 = 0x4000_0003;
/// `AUDIT_ARCH_AARCH64`.
#[cfg(target_arch = "aarch64")]
const NATIVE_AUDIT: u32 = 0xc000_00b7;
/// `AUDIT_ARCH_ARM`.
#[cfg(target_arch = "aarch64")]
const COMPAT_AUDIT: u32 = 0x4000_0028;

/// `__X32_SYSCALL_BIT`.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// Calls of x32 that have numbers of their own (`syscall_64.tbl`, abi `x32`), from 512 on in this order.
#[cfg(target_arch = "x86_64")]
const X32_OWN: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];

/// An application binary interface of this machine's kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Abi {
    /// What this program is built for.
    Native,
    /// Its 32-bit predecessor.
    Compat,
    /// x32: the native one's architecture number, with a bit in the call's.
    X32,
}

impl Abi {
    /// `AUDIT_ARCH_*`.
    pub(super) fn audit(self) -> u32 {
        match self {
            Self::Native | Self::X32 => NATIVE_AUDIT,
            Self::Compat => COMPAT_AUDIT,
        }
    }

    /// Number of a call as a filter sees it.
    pub(super) fn number(self, name: &str) -> Option<u32> {
        let find = |table: &[(&str, i64)]| {
            let at = table.binary_search_by_key(&name, |(known, _)| known).ok()?;
            Some(table[at].1 as u32)
        };
        match self {
            Self::Native => find(&native::TABLE),
            Self::Compat => find(&compat::TABLE),
            Self::X32 => x32_number(name).or_else(|| find(&native::TABLE).map(|n| n | X32_BIT)),
        }
    }

    /// Highest number that is known.
    pub(super) fn highest(self) -> u32 {
        let table: &[(&str, i64)] = match self {
            Self::Native | Self::X32 => &native::TABLE,
            Self::Compat => &compat::TABLE,
        };
        let own = table.iter().map(|(_, number)| *number as u32);
        own.filter(|number| *number < 0xf000).max().unwrap_or(0)
    }
}

#[cfg(target_arch = "x86_64")]
fn x32_number(name: &str) -> Option<u32> {
    let at = X32_OWN.iter().position(|known| *known == name)?;
    Some(X32_BIT | (512 + at as u32))
}

#[cfg(target_arch = "aarch64")]
fn x32_number(_name: &str) -> Option<u32> {
    None
}

/// What a profile's architecture is here; `None` where this machine's kernel has no such calls.
pub(super) fn abi(architecture: Arch) -> Option<Abi> {
    match architecture {
        Arch::ScmpArchNative => Some(Abi::Native),
        Arch::ScmpArchX86_64 if cfg!(target_arch = "x86_64") => Some(Abi::Native),
        Arch::ScmpArchX86 if cfg!(target_arch = "x86_64") => Some(Abi::Compat),
        Arch::ScmpArchX32 if cfg!(target_arch = "x86_64") => Some(Abi::X32),
        Arch::ScmpArchAarch64 if cfg!(target_arch = "aarch64") => Some(Abi::Native),
        Arch::ScmpArchArm if cfg!(target_arch = "aarch64") => Some(Abi::Compat),
        _ => None,
    }
}

/// Names of the architectures that filters are made for (OCI `features.md`).
pub const ARCHITECTURES: &[&str] = if cfg!(target_arch = "x86_64") {
    &[
        "SCMP_ARCH_NATIVE",
        "SCMP_ARCH_X32",
        "SCMP_ARCH_X86",
        "SCMP_ARCH_X86_64",
    ]
} else {
    &["SCMP_ARCH_NATIVE", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
};

/// A call that 32-bit x86 also reaches through `socketcall` or `ipc`: that call's name, and its first argument.
pub(super) fn multiplexed(name: &str) -> Option<(&'static str, u64)> {
    const SOCKET: [&str; 20] = [
        "socket",
        "bind",
        "connect",
        "listen",
        "accept",
        "getsockname",
        "getpeername",
        "socketpair",
        "send",
        "recv",
        "sendto",
        "recvfrom",
        "shutdown",
        "setsockopt",
        "getsockopt",
        "sendmsg",
        "recvmsg",
        "accept4",
        "recvmmsg",
        "sendmmsg",
    ];
    const IPC: [(&str, u64); 12] = [
        ("semop", 1),
        ("semget", 2),
        ("semctl", 3),
        ("semtimedop", 4),
        ("msgsnd", 11),
        ("msgrcv", 12),
        ("msgget", 13),
        ("msgctl", 14),
        ("shmat", 21),
        ("shmdt", 22),
        ("shmget", 23),
        ("shmctl", 24),
    ];
    if cfg!(not(target_arch = "x86_64")) {
        return None;
    }
    if let Some(at) = SOCKET.iter().position(|known| *known == name) {
        return Some(("socketcall", at as u64 + 1));
    }
    let found = IPC.iter().find(|(known, _)| *known == name);
    found.map(|(_, number)| ("ipc", *number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(native::TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(compat::TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn numbers() {
        assert_eq!(Abi::Native.number("openat"), Some(257));
        assert_eq!(Abi::Compat.number("openat"), Some(295));
        assert_eq!(Abi::Compat.number("socketcall"), Some(102));
        assert_eq!(Abi::X32.number("openat"), Some(X32_BIT + 257));
        assert_eq!(Abi::X32.number("ioctl"), Some(X32_BIT + 514));
        assert_eq!(Abi::X32.number("pwritev2"), Some(X32_BIT + 547));
        assert_eq!(Abi::Native.number("no_such_call"), None);
    }
}
