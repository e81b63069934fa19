//! Seccomp profiles, compiled; and run, against what the profile says.

use keelson_runtime::plan::profile_filter;
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompOperator as Op};

use crate::{driver, json};

const LOAD: u16 = 0x20;
const RETURN: u16 = 0x06;

fn fields(word: u64) -> (u16, u8, u8, u32) {
    let b = word.to_ne_bytes();
    (
        u16::from_ne_bytes([b[0], b[1]]),
        b[2],
        b[3],
        u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
    )
}

/// What the kernel checks before it takes a program: size, jumps within it, loads within the data, an end.
pub fn check_program(program: &[u64]) {
    assert!(
        !program.is_empty() && program.len() <= 4096,
        "{} instructions",
        program.len()
    );
    for (at, word) in program.iter().enumerate() {
        let (code, yes, no, k) = fields(*word);
        match code & 7 {
            0 => assert!(code == LOAD && k % 4 == 0 && k < 64, "load {k}"),
            5 if code == 0x05 => assert!(at + 1 + (k as usize) < program.len(), "jump out"),
            5 => assert!(at + 1 + usize::from(yes.max(no)) < program.len(), "branch out"),
            _ => {}
        }
    }
    assert_eq!(fields(program[program.len() - 1]).0, RETURN, "it does not end");
}

/// Runs a program as the kernel would.
fn run(program: &[u64], data: &[u32; 16]) -> u32 {
    let (mut a, mut pc) = (0u32, 0usize);
    loop {
        let (code, yes, no, k) = fields(program[pc]);
        pc += 1;
        let branch = |taken: bool| usize::from(if taken { yes } else { no });
        match code {
            LOAD => a = data[k as usize / 4],
            0x05 => pc += k as usize,
            0x15 => pc += branch(a == k),
            0x25 => pc += branch(a > k),
            0x35 => pc += branch(a >= k),
            0x45 => pc += branch(a & k != 0),
            0x54 => a &= k,
            RETURN => return k,
            other => panic!("instruction {other:#x}"),
        }
    }
}

const ALLOW: u32 = 0x7fff_0000;

/// Whether a profile without tricks lets a call pass: `None` where it is not said simply.
fn allows(profile: &LinuxSeccomp, name: &str, args: &[u64; 6]) -> Option<bool> {
    let mut allowed = None;
    for entry in profile.syscalls().iter().flatten() {
        if !entry.names().iter().any(|known| known == name) {
            continue;
        }
        let conditions = entry.args().as_deref().unwrap_or_default();
        let mut indices: Vec<usize> = conditions
            .iter()
            .map(oci_spec::runtime::LinuxSeccompArg::index)
            .collect();
        indices.sort_unstable();
        if indices.windows(2).any(|pair| pair[0] == pair[1]) || indices.iter().any(|index| *index > 5) {
            return None;
        }
        let matches = conditions.iter().all(|arg| {
            let (is, value, second) = (args[arg.index()], arg.value(), arg.value_two().unwrap_or(0));
            match arg.op() {
                Op::ScmpCmpNe => is != value,
                Op::ScmpCmpLt => is < value,
                Op::ScmpCmpLe => is <= value,
                Op::ScmpCmpEq => is == value,
                Op::ScmpCmpGe => is >= value,
                Op::ScmpCmpGt => is > value,
                Op::ScmpCmpMaskedEq => is & value == second,
            }
        });
        if matches {
            // Two entries that both match and differ: which wins is another matter.
            if allowed.is_some() {
                return None;
            }
            allowed = Some(entry.action() == Action::ScmpActAllow);
        }
    }
    Some(allowed.unwrap_or(profile.default_action() == Action::ScmpActAllow))
}

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;

/// Calls to try.
const CALLS: [(&str, libc::c_long); 6] = [
    ("read", libc::SYS_read),
    ("personality", libc::SYS_personality),
    ("mkdirat", libc::SYS_mkdirat),
    ("mount", libc::SYS_mount),
    ("socket", libc::SYS_socket),
    ("clone", libc::SYS_clone),
];

/// Returns whether it was taken for good.
pub fn target(data: &[u8]) -> bool {
    let Ok(profile) = serde_json::from_slice::<LinuxSeccomp>(data) else {
        return false;
    };
    let Ok(filter) = profile_filter(&profile) else {
        return false;
    };
    let program = &filter.program;
    check_program(program);
    for (name, number) in CALLS {
        for args in [
            [0u64; 6],
            [u64::MAX; 6],
            [8, 0x2_0000, 1, 0xffff_ffff, 0x1_0000_0000, 40],
        ] {
            let mut data = [0u32; 16];
            data[0] = number as u32;
            data[1] = ARCH;
            for (n, arg) in args.iter().enumerate() {
                data[4 + 2 * n] = *arg as u32;
                data[5 + 2 * n] = (*arg >> 32) as u32;
            }
            let passed = run(program, &data) == ALLOW;
            if let Some(expected) = allows(&profile, name, &args) {
                assert_eq!(passed, expected, "{name} {args:x?}");
            }
        }
    }
    true
}

#[test]
fn fuzz() {
    driver::run("seccomp", Vec::new(), json::parse, json::text, target);
}
