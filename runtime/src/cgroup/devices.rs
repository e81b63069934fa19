//! Which devices a container may make, read and write, compiled to an eBPF program for its cgroup. The mount options
//! and capabilities do not decide this: a container may have CAP_MKNOD, and could make a node for the host's disk.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use super::Error;
use crate::launch::Device;
use crate::sys;

/// `BPF_DEVCG_ACC_MKNOD`.
const MAKE: u32 = 1;
/// `BPF_DEVCG_ACC_READ`.
const READ: u32 = 2;
/// `BPF_DEVCG_ACC_WRITE`.
const WRITE: u32 = 4;
/// `BPF_DEVCG_DEV_BLOCK`.
const BLOCK: u32 = 1;
/// `BPF_DEVCG_DEV_CHAR`.
const CHARACTER: u32 = 2;

/// One permission; `None` is any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRule {
    block: bool,
    major: Option<u32>,
    minor: Option<u32>,
    access: u32,
}

impl DeviceRule {
    /// A rule for a device with access letters out of `rwm`.
    pub fn new(block: bool, major: Option<u32>, minor: Option<u32>, access: &str) -> Self {
        let bit = |letter, bit| if access.contains(letter) { bit } else { 0 };
        Self {
            block,
            major,
            minor,
            access: bit('r', READ) | bit('w', WRITE) | bit('m', MAKE),
        }
    }

    /// The rule for a device node that a container is given.
    pub fn of(device: &Device, access: &str) -> Self {
        let block = device.mode & libc::S_IFMT == libc::S_IFBLK;
        Self::new(
            block,
            Some(libc::major(device.number)),
            Some(libc::minor(device.number)),
            access,
        )
    }
}

/// What every container may use (containerd's default): make any node, use the harmless ones and its own terminals.
pub fn default_device_rules() -> Vec<DeviceRule> {
    let mut rules = vec![
        DeviceRule::new(false, None, None, "m"),
        DeviceRule::new(true, None, None, "m"),
    ];
    for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)] {
        rules.push(DeviceRule::new(false, Some(major), Some(minor), "rwm"));
    }
    rules.push(DeviceRule::new(false, Some(136), None, "rwm")); // pseudo-terminals
    rules
}

/// One `struct bpf_insn` as the word it is in memory.
fn word(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> u64 {
    let [o0, o1] = offset.to_ne_bytes();
    let [i0, i1, i2, i3] = immediate.to_ne_bytes();
    let registers = if cfg!(target_endian = "little") {
        source << 4 | destination
    } else {
        destination << 4 | source
    };
    u64::from_ne_bytes([code, registers, o0, o1, i0, i1, i2, i3])
}

const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const MOVE_REGISTER: u8 = 0xbc;
const MOVE: u8 = 0xb7;
const JUMP_NOT_EQUAL: u8 = 0x55;
const JUMP_NOT_EQUAL_REGISTER: u8 = 0x5d;
const EXIT: u8 = 0x95;

/// The program: allows what one of the rules allows (`struct bpf_cgroup_dev_ctx` in r1: access and type, major, minor).
pub fn device_filter(rules: &[DeviceRule]) -> Vec<u64> {
    let mut program = vec![
        word(LOAD_WORD, 2, 1, 0, 0),
        word(MOVE_REGISTER, 3, 2, 0, 0),
        word(AND, 3, 0, 0, 0xffff),     // r3: type
        word(SHIFT_RIGHT, 2, 0, 0, 16), // r2: access
        word(LOAD_WORD, 4, 1, 4, 0),    // r4: major
        word(LOAD_WORD, 5, 1, 8, 0),    // r5: minor
    ];
    for rule in rules {
        let kind = if rule.block { BLOCK } else { CHARACTER };
        let mut steps = vec![
            (JUMP_NOT_EQUAL, 3, 0, kind),
            (MOVE_REGISTER, 0, 2, 0),
            (AND, 0, 0, rule.access),
            (JUMP_NOT_EQUAL_REGISTER, 0, 2, 0), // more access than the rule allows
        ];
        steps.extend(rule.major.map(|major| (JUMP_NOT_EQUAL, 4, 0, major)));
        steps.extend(rule.minor.map(|minor| (JUMP_NOT_EQUAL, 5, 0, minor)));
        steps.extend([(MOVE, 0, 0, 1), (EXIT, 0, 0, 0)]);
        for (index, (code, destination, source, immediate)) in steps.iter().enumerate() {
            // Each comparison that fails jumps over what is left of its rule.
            let jumps = matches!(*code, JUMP_NOT_EQUAL | JUMP_NOT_EQUAL_REGISTER);
            let offset = if jumps {
                (steps.len() - index - 1) as i16
            } else {
                0
            };
            program.push(word(*code, *destination, *source, offset, *immediate as i32));
        }
    }
    program.push(word(MOVE, 0, 0, 0, 0));
    program.push(word(EXIT, 0, 0, 0, 0));
    program
}

/// Restricts the devices of everything in a cgroup.
pub fn filter_devices(path: &Path, program: &[u64]) -> Result<(), Error> {
    let what = || format!("filtering devices of cgroup {}", path.display());
    let cgroup = File::open(path).map_err(Error::io(what()))?;
    sys::attach_device_filter(cgroup.as_fd(), program).map_err(Error::io(what()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel would.
    fn run(program: &[u64], block: bool, major: u32, minor: u32, access: u32) -> u64 {
        let kind = if block { BLOCK } else { CHARACTER };
        let context = [access << 16 | kind, major, minor];
        let (mut r, mut pc) = ([0u64; 11], 0usize);
        loop {
            let b = program[pc].to_le_bytes();
            let (code, dst, src) = (b[0], usize::from(b[1] & 15), usize::from(b[1] >> 4));
            let offset = i16::from_le_bytes([b[2], b[3]]);
            let imm = i32::from_le_bytes([b[4], b[5], b[6], b[7]]);
            pc += 1;
            match code {
                LOAD_WORD => r[dst] = u64::from(context[offset as usize / 4]),
                AND => r[dst] &= imm as u64,
                SHIFT_RIGHT => r[dst] >>= imm,
                MOVE_REGISTER => r[dst] = r[src],
                MOVE => r[dst] = imm as u64,
                JUMP_NOT_EQUAL if r[dst] != imm as u64 => pc += offset as usize,
                JUMP_NOT_EQUAL_REGISTER if r[dst] != r[src] => pc += offset as usize,
                JUMP_NOT_EQUAL | JUMP_NOT_EQUAL_REGISTER => {}
                EXIT => return r[0],
                other => panic!("{other:#x}"),
            }
        }
    }

    #[test]
    fn default_rules() {
        let program = device_filter(&default_device_rules());
        assert_eq!(run(&program, false, 1, 3, READ | WRITE), 1);
        assert_eq!(run(&program, false, 136, 77, READ | WRITE | MAKE), 1);
        assert_eq!(run(&program, true, 8, 0, MAKE), 1);
        assert_eq!(run(&program, true, 8, 0, READ), 0);
        assert_eq!(run(&program, true, 1, 3, READ), 0);
        assert_eq!(run(&program, false, 1, 1, READ), 0, "/dev/mem");
        assert_eq!(run(&program, false, 10, 229, READ | WRITE), 0, "/dev/fuse");
    }

    #[test]
    fn added_devices() {
        let mut rules = default_device_rules();
        rules.push(DeviceRule::new(false, Some(10), Some(229), "r"));
        let program = device_filter(&rules);
        assert_eq!(run(&program, false, 10, 229, READ), 1);
        assert_eq!(run(&program, false, 10, 229, READ | WRITE), 0);
        assert_eq!(run(&device_filter(&[]), false, 1, 3, READ), 0);
    }
}
