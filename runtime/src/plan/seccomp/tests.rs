//! The filter is run here by a small BPF machine, so that its decisions are tested without installing it.

use super::*;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

fn run(program: &[u64], name: &str, args: [u64; 6]) -> u32 {
    run_number(program, number(name).unwrap() as u32, args)
}

fn run_number(program: &[u64], number: u32, args: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend(number.to_le_bytes());
    data.extend(
        if cfg!(target_arch = "x86_64") {
            0xc000_003eu32
        } else {
            0xc000_00b7
        }
        .to_le_bytes(),
    );
    data.extend(0u64.to_le_bytes());
    for argument in args {
        data.extend(argument.to_le_bytes());
    }
    let (mut pc, mut acc) = (0usize, 0u32);
    loop {
        let b = program[pc].to_le_bytes();
        let (code, jt, jf) = (u16::from_le_bytes([b[0], b[1]]), b[2], b[3]);
        let k = u32::from_le_bytes([b[4], b[5], b[6], b[7]]);
        pc += 1;
        let mut jump = |yes: bool| pc += usize::from(if yes { jt } else { jf });
        match code {
            0x20 => acc = u32::from_le_bytes(data[k as usize..k as usize + 4].try_into().unwrap()),
            0x15 => jump(acc == k),
            0x25 => jump(acc > k),
            0x35 => jump(acc >= k),
            0x45 => jump(acc & k != 0),
            0x54 => acc &= k,
            0x05 => pc += k as usize,
            0x06 => return k,
            other => panic!("unknown instruction {other:#x}"),
        }
    }
}

const DEFAULT_CAPS: u64 = 0xa804_25fb;

#[test]
fn the_table_is_sorted() {
    assert!(numbers::TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

#[test]
fn default_decisions() {
    let filter = default_filter(DEFAULT_CAPS).unwrap();
    let call = |name, args| run(&filter, name, args);
    for name in ["read", "execve", "openat2", "futex", "chroot", "statx", "ptrace"] {
        assert_eq!(call(name, [0; 6]), ALLOW, "{name}");
    }
    for name in [
        "mount",
        "unshare",
        "setns",
        "bpf",
        "keyctl",
        "add_key",
        "request_key",
        "kexec_load",
        "init_module",
        "reboot",
        "userfaultfd",
        "io_uring_setup",
        "perf_event_open",
        "open_by_handle_at",
        "settimeofday",
        "move_mount",
        "fsopen",
    ] {
        assert_eq!(call(name, [0; 6]), EPERM, "{name}");
    }
    assert_eq!(call("clone3", [0; 6]), ENOSYS);
    assert_eq!(run_number(&filter, 9999, [0; 6]), ENOSYS);
    assert_eq!(
        run_number(&filter, 0x4000_0000, [0; 6]),
        ENOSYS,
        "the x32 numbers"
    );
    assert_eq!(call("clone", [0x11, 0, 0, 0, 0, 0]), ALLOW);
    assert_eq!(
        call("clone", [0x1000_0011, 0, 0, 0, 0, 0]),
        EPERM,
        "CLONE_NEWUSER"
    );
    assert_eq!(call("clone", [0x0002_0000, 0, 0, 0, 0, 0]), EPERM, "CLONE_NEWNS");
    assert_eq!(call("socket", [2, 1, 0, 0, 0, 0]), ALLOW);
    assert_eq!(call("socket", [40, 1, 0, 0, 0, 0]), EPERM, "AF_VSOCK");
    assert_eq!(call("personality", [0; 6]), ALLOW);
    assert_eq!(
        call("personality", [0x0004_0000, 0, 0, 0, 0, 0]),
        EPERM,
        "ADDR_NO_RANDOMIZE"
    );
}

#[test]
fn capabilities_open_what_they_are_for() {
    let filter = default_filter(DEFAULT_CAPS | SYS_ADMIN).unwrap();
    for name in ["mount", "unshare", "setns", "clone3", "bpf"] {
        assert_eq!(run(&filter, name, [0; 6]), ALLOW, "{name}");
    }
    assert_eq!(run(&filter, "clone", [0x1000_0011, 0, 0, 0, 0, 0]), ALLOW);
    let filter = default_filter(0).unwrap();
    assert_eq!(run(&filter, "chroot", [0; 6]), EPERM);
}

fn decide(filters: &[Vec<u64>], name: &str, args: [u64; 6]) -> u32 {
    // The kernel's order of actions: the lowest value, taken as signed, wins.
    filters
        .iter()
        .map(|f| run(f, name, args))
        .min_by_key(|action| *action as i32)
        .unwrap_or(ALLOW)
}

#[test]
fn profiles_with_several_actions() {
    let profile = serde_json::from_str(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"syscalls":[
            {"names":["read","write","no_such_call"],"action":"SCMP_ACT_ALLOW"},
            {"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":38},
            {"names":["kill"],"action":"SCMP_ACT_KILL_PROCESS"},
            {"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2,"op":"SCMP_CMP_EQ"},{"index":0,"value":10,"op":"SCMP_CMP_EQ"}]},
            {"names":["dup3"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":1,"value":2,"op":"SCMP_CMP_GT"}]},
            {"names":["clone"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2114060288,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}]}]}"#,
    )
    .unwrap();
    let filters = profile_filters(&profile).unwrap();
    assert_eq!(decide(&filters, "read", [0; 6]), ALLOW);
    assert_eq!(decide(&filters, "openat", [0; 6]), EPERM);
    assert_eq!(decide(&filters, "mkdir", [0; 6]), ENOSYS);
    assert_eq!(decide(&filters, "kill", [0; 6]), 0x8000_0000);
    assert_eq!(decide(&filters, "socket", [10, 0, 0, 0, 0, 0]), ALLOW);
    assert_eq!(decide(&filters, "socket", [40, 0, 0, 0, 0, 0]), EPERM);
    assert_eq!(decide(&filters, "dup3", [1, 3, 0, 0, 0, 0]), ALLOW);
    assert_eq!(decide(&filters, "dup3", [1, 2, 0, 0, 0, 0]), EPERM);
    assert_eq!(decide(&filters, "clone", [0x1000_0000, 0, 0, 0, 0, 0]), EPERM);
}

#[test]
fn a_profile_that_only_denies() {
    let profile = serde_json::from_str(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}]}"#,
    )
    .unwrap();
    let filters = profile_filters(&profile).unwrap();
    assert_eq!(
        (
            decide(&filters, "mkdir", [0; 6]),
            decide(&filters, "read", [0; 6])
        ),
        (EPERM, ALLOW)
    );
    let notify = serde_json::from_str(r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#).unwrap();
    assert!(profile_filters(&notify).is_err());
}
