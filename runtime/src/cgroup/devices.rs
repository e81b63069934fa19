//! Which devices a container may make, read and write, compiled to an eBPF program for its cgroup. The mount options
//! and capabilities do not decide this: a container may have CAP_MKNOD, and could make a node for the host's disk.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

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

/// One rule; `None` is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRule {
    allow: bool,
    block: Option<bool>,
    major: Option<u32>,
    minor: Option<u32>,
    access: u32,
}

impl DeviceRule {
    /// A rule that allows a device, with access letters out of `rwm`.
    pub fn new(block: bool, major: Option<u32>, minor: Option<u32>, access: &str) -> Self {
        Self {
            allow: true,
            block: Some(block),
            major,
            minor,
            access: access_bits(access),
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

fn access_bits(letters: &str) -> u32 {
    let bit = |letter, bit| if letters.contains(letter) { bit } else { 0 };
    bit('r', READ) | bit('w', WRITE) | bit('m', MAKE)
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

/// The rules of a configuration (`config-linux.md`, "Allowed Device list"), then the default ones, which can therefore
/// not be taken away. What no rule speaks of is denied, also without any rule: as in runc.
pub fn rules(configured: &[LinuxDeviceCgroup]) -> Result<Vec<DeviceRule>, Error> {
    let number = |n: Option<i64>| match n {
        None | Some(-1) => Ok(None),
        Some(n) => u32::try_from(n)
            .map(Some)
            .map_err(|_| Error::Invalid(format!("device number {n} is out of range"))),
    };
    let mut all = Vec::new();
    for rule in configured {
        let block = match rule.typ().unwrap_or(LinuxDeviceType::A) {
            LinuxDeviceType::A => None,
            LinuxDeviceType::B => Some(true),
            LinuxDeviceType::C | LinuxDeviceType::U => Some(false),
            LinuxDeviceType::P => {
                return Err(Error::Invalid("a device rule cannot have type \"p\"".to_owned()));
            }
        };
        let access = rule
            .access()
            .as_deref()
            .filter(|access| !access.is_empty())
            .unwrap_or("rwm");
        if let Some(bad) = access.chars().find(|c| !"rwm".contains(*c)) {
            return Err(Error::Invalid(format!("invalid device access {bad:?}")));
        }
        all.push(DeviceRule {
            allow: rule.allow(),
            block,
            major: number(rule.major())?,
            minor: number(rule.minor())?,
            access: access_bits(access),
        });
    }
    all.extend(default_device_rules());
    Ok(all)
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
const JUMP_EQUAL: u8 = 0x15;
const JUMP_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

/// The program (`struct bpf_cgroup_dev_ctx` in r1: access and type, major, minor). The last rule that speaks of a device
/// and a kind of access decides, so the rules are tried backwards: one that allows settles its kinds of access, one that
/// denies ends the matter if any of its kinds is still open. Later rules can thus make exceptions to earlier ones in both
/// directions, also within wildcards, which runc refuses.
pub fn device_filter(rules: &[DeviceRule]) -> Vec<u64> {
    let mut program = vec![
        word(LOAD_WORD, 2, 1, 0, 0),
        word(MOVE_REGISTER, 3, 2, 0, 0),
        word(AND, 3, 0, 0, 0xffff),     // r3: type
        word(SHIFT_RIGHT, 2, 0, 0, 16), // r2: access that is still open
        word(LOAD_WORD, 4, 1, 4, 0),    // r4: major
        word(LOAD_WORD, 5, 1, 8, 0),    // r5: minor
    ];
    for rule in rules.iter().rev() {
        let kind = rule.block.map(|block| if block { BLOCK } else { CHARACTER });
        // Each comparison that goes wrong leaves the rule, over what is left of it.
        let mut steps = Vec::new();
        steps.extend(kind.map(|kind| (JUMP_NOT_EQUAL, 3, 0, kind)));
        steps.extend(rule.major.map(|major| (JUMP_NOT_EQUAL, 4, 0, major)));
        steps.extend(rule.minor.map(|minor| (JUMP_NOT_EQUAL, 5, 0, minor)));
        if rule.allow {
            steps.extend([(AND, 2, 0, !rule.access), (JUMP_NOT_EQUAL, 2, 0, 0)]);
        } else {
            steps.extend([
                (MOVE_REGISTER, 0, 2, 0),
                (AND, 0, 0, rule.access),
                (JUMP_EQUAL, 0, 0, 0),
            ]);
        }
        steps.extend([(MOVE, 0, 0, u32::from(rule.allow)), (EXIT, 0, 0, 0)]);
        for (index, (code, destination, source, immediate)) in steps.iter().enumerate() {
            let jumps = matches!(*code, JUMP_NOT_EQUAL | JUMP_EQUAL);
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

/// Programs that this process has loaded: the kernel takes as long to verify one as to start a process, and nearly all
/// containers have the same.
static LOADED: Mutex<BTreeMap<Vec<u64>, OwnedFd>> = Mutex::new(BTreeMap::new());
/// Most programs that are kept.
const MOST_LOADED: usize = 64;

/// Restricts the devices of everything in a cgroup.
pub fn filter_devices(path: &Path, program: &[u64]) -> Result<(), Error> {
    let what = || format!("filtering devices of cgroup {}", path.display());
    let cgroup = File::open(path).map_err(Error::io(what()))?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if loaded.len() >= MOST_LOADED && !loaded.contains_key(program) {
        loaded.clear(); // they stay where they are attached
    }
    let program = match loaded.entry(program.to_vec()) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => new.insert(sys::load_device_filter(program).map_err(Error::io(what()))?),
    };
    sys::attach_device_filter(cgroup.as_fd(), program.as_fd()).map_err(Error::io(what()))
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
