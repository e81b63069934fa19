//! The filter is run here by a small BPF machine, so that its decisions are tested without installing it.

use super::*;

const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

fn run(filter: &SeccompFilter, name: &str, args: [u64; 6]) -> u32 {
    run_number(filter, Abi::Native.number(name).unwrap(), args)
}

fn run_number(filter: &SeccompFilter, number: u32, args: [u64; 6]) -> u32 {
    run_as(filter, Abi::Native.audit(), number, args)
}

fn run_as(filter: &SeccompFilter, architecture: u32, number: u32, args: [u64; 6]) -> u32 {
    let program = &filter.program;
    let mut data = Vec::new();
    data.extend(number.to_le_bytes());
    data.extend(architecture.to_le_bytes());
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

fn filter(profile: &str) -> Result<SeccompFilter, SeccompError> {
    profile_filter(&serde_json::from_str(profile).unwrap())
}

#[test]
fn profiles_with_several_actions() {
    let filter = filter(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"syscalls":[
            {"names":["read","write","no_such_call"],"action":"SCMP_ACT_ALLOW"},
            {"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":38},
            {"names":["kill"],"action":"SCMP_ACT_KILL_PROCESS"},
            {"names":["tkill"],"action":"SCMP_ACT_KILL"},
            {"names":["pause"],"action":"SCMP_ACT_TRAP"},
            {"names":["alarm"],"action":"SCMP_ACT_TRACE","errnoRet":7},
            {"names":["sync"],"action":"SCMP_ACT_LOG"},
            {"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2,"op":"SCMP_CMP_EQ"},{"index":0,"value":10,"op":"SCMP_CMP_EQ"}]},
            {"names":["dup3"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":1,"value":2,"op":"SCMP_CMP_GT"}]},
            {"names":["clone"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2114060288,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}]}]}"#,
    )
    .unwrap();
    let decide = |name, args| run(&filter, name, args);
    for (name, answer) in [
        ("read", ALLOW),
        ("openat", EPERM),
        ("mkdir", ENOSYS),
        ("kill", 0x8000_0000),
        ("tkill", 0),
        ("pause", 0x0003_0000),
        ("alarm", 0x7ff0_0007),
        ("sync", 0x7ffc_0000),
    ] {
        assert_eq!(decide(name, [0; 6]), answer, "{name}");
    }
    assert_eq!(decide("socket", [10, 0, 0, 0, 0, 0]), ALLOW);
    assert_eq!(decide("socket", [40, 0, 0, 0, 0, 0]), EPERM);
    assert_eq!(decide("dup3", [1, 3, 0, 0, 0, 0]), ALLOW);
    assert_eq!(decide("dup3", [1, 2, 0, 0, 0, 0]), EPERM);
    assert_eq!(decide("dup3", [2, 3, 0, 0, 0, 0]), EPERM);
    assert_eq!(decide("clone", [0x1000_0000, 0, 0, 0, 0, 0]), EPERM);
    assert_eq!(
        run_number(&filter, 9999, [0; 6]),
        ENOSYS,
        "newer than the profile"
    );
    assert_eq!(
        run_number(&filter, u32::MAX, [0; 6]),
        EPERM,
        "skipped by a tracer"
    );
    assert_eq!(run_as(&filter, 0x1234, 0, [0; 6]), 0x8000_0000, "foreign");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn several_architectures() {
    const I386: u32 = 0x4000_0003;
    let list = r#""syscalls":[{"names":["openat","ioctl","getsockname"],"action":"SCMP_ACT_ALLOW"},
        {"names":["personality"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_EQ"}]}]"#;
    let native = filter(&format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO",{list}}}"#)).unwrap();
    assert_eq!(run_number(&native, 257, [0; 6]), ALLOW);
    assert_eq!(run_as(&native, I386, 295, [0; 6]), 0x8000_0000);
    assert_eq!(run_number(&native, 0x4000_0000 + 257, [0; 6]), 0x8000_0000);
    let all = filter(&format!(
        r#"{{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32","SCMP_ARCH_ARM"],{list}}}"#
    ))
    .unwrap();
    assert_eq!(run_number(&all, 257, [0; 6]), ALLOW);
    assert_eq!(run_as(&all, I386, 295, [0; 6]), ALLOW);
    assert_eq!(run_as(&all, I386, 257, [0; 6]), EPERM);
    assert_eq!(run_as(&all, I386, 102, [6, 0, 0, 0, 0, 0]), ALLOW, "socketcall");
    assert_eq!(run_as(&all, I386, 102, [7, 0, 0, 0, 0, 0]), EPERM, "socketcall");
    assert_eq!(
        run_as(&all, I386, 136, [0xffff_ffff, 0, 0, 0, 0, 0]),
        ALLOW,
        "half the width"
    );
    assert_eq!(run_number(&all, 0x4000_0000 + 257, [0; 6]), ALLOW);
    assert_eq!(run_number(&all, 0x4000_0000 + 514, [0; 6]), ALLOW, "x32's ioctl");
    assert_eq!(
        run_number(&all, 0x4000_0000 | 16, [0; 6]),
        EPERM,
        "x86_64's ioctl"
    );
    assert_eq!(run_as(&all, 0x4000_0028, 5, [0; 6]), 0x8000_0000, "ARM");
}

#[test]
fn a_profile_that_only_denies() {
    let profile = filter(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}]}"#,
    )
    .unwrap();
    assert_eq!(run(&profile, "mkdir", [0; 6]), EPERM);
    assert_eq!(run(&profile, "read", [0; 6]), ALLOW);
    assert_eq!(run_number(&profile, 9999, [0; 6]), ALLOW);
}

#[test]
fn rules_that_overlap() {
    let filter = filter(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
            {"names":["dup3"],"action":"SCMP_ACT_LOG"},
            {"names":["dup3"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":5,"op":"SCMP_CMP_GE"}]},
            {"names":["dup3"],"action":"SCMP_ACT_KILL_PROCESS","args":[{"index":0,"value":7,"op":"SCMP_CMP_EQ"}]}]}"#,
    )
    .unwrap();
    let decide = |first| run(&filter, "dup3", [first, 0, 0, 0, 0, 0]);
    assert_eq!(
        (decide(4), decide(5), decide(7)),
        (0x7ffc_0000, EPERM, 0x8000_0000)
    );
}

#[test]
fn wrong_profiles() {
    for wrong in [
        r#"{"defaultAction":"SCMP_ACT_NOTIFY","listenerPath":"/x"}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":1}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerMetadata":"x"}"#,
        r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":4096}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x","syscalls":[{"names":["sendmsg"],"action":"SCMP_ACT_NOTIFY"}]}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_KILL","errnoRet":2}]}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_LOG","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#,
    ] {
        assert!(filter(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn flags_and_listener() {
    let filter = filter(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/agent","listenerMetadata":"m",
            "flags":["SECCOMP_FILTER_FLAG_LOG","SECCOMP_FILTER_FLAG_TSYNC","SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
            "syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]}"#,
    )
    .unwrap();
    assert_eq!(filter.flags, 0b11_0011);
    assert_eq!(filter.listener.as_ref().unwrap().path, "/run/agent");
    assert_eq!(run(&filter, "mkdir", [0; 6]), 0x7fc0_0000);
}

proptest::proptest! {
    /// The program decides as a naive reading of the comparison would.
    #[test]
    fn comparisons(op in 0usize..7, value: u64, second: u64, argument: u64, close in 0u64..3) {
        let names = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
        let argument = if close == 2 { argument } else { value.wrapping_add(close) };
        let profile = format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["dup3"],"action":"SCMP_ACT_ALLOW",
                "args":[{{"index":2,"value":{value},"valueTwo":{},"op":"SCMP_CMP_{}"}}]}}]}}"#,
            second & value, names[op]
        );
        let filter = filter(&profile).unwrap();
        let holds = match op {
            0 => argument != value,
            1 => argument < value,
            2 => argument <= value,
            3 => argument == value,
            4 => argument >= value,
            5 => argument > value,
            _ => argument & value == second & value,
        };
        let answer = run(&filter, "dup3", [0, 0, argument, 0, 0, 0]);
        proptest::prop_assert_eq!(answer, if holds { ALLOW } else { EPERM });
    }
}
