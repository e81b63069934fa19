//! Classic BPF for seccomp (`Documentation/userspace-api/seccomp_filter.rst`): system call tables to one program.
//!
//! A program selects its section by architecture, then finds the call's number with a binary decision tree, then checks
//! arguments if a rule asks for it. Every path ends in a return, so jumps only ever go forward.

use std::collections::BTreeMap;

use super::SeccompError;

/// One `struct sock_filter` as the word it is in memory.
pub(super) fn word(code: u16, jump_true: u8, jump_false: u8, k: u32) -> u64 {
    let [c0, c1] = code.to_ne_bytes();
    let [k0, k1, k2, k3] = k.to_ne_bytes();
    u64::from_ne_bytes([c0, c1, jump_true, jump_false, k0, k1, k2, k3])
}

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// `BPF_MAXINSNS`.
const MAX_INSTRUCTIONS: usize = 4096;

/// `SECCOMP_RET_KILL_PROCESS`.
pub(super) const KILL_PROCESS: u32 = 0x8000_0000;
/// `SECCOMP_RET_KILL_THREAD`.
pub(super) const KILL_THREAD: u32 = 0;
/// `SECCOMP_RET_TRAP`.
pub(super) const TRAP: u32 = 0x0003_0000;
/// `SECCOMP_RET_ERRNO`, without the errno.
pub(super) const ERRNO: u32 = 0x0005_0000;
/// `SECCOMP_RET_USER_NOTIF`.
pub(super) const NOTIFY: u32 = 0x7fc0_0000;
/// `SECCOMP_RET_TRACE`, without its data.
pub(super) const TRACE: u32 = 0x7ff0_0000;
/// `SECCOMP_RET_LOG`.
pub(super) const LOG: u32 = 0x7ffc_0000;
/// `SECCOMP_RET_ALLOW`.
pub(super) const ALLOW: u32 = 0x7fff_0000;

/// How an argument is compared, unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    NotEqual,
    Less,
    AtMost,
    Equal,
    AtLeast,
    Greater,
    /// `argument & mask == value`.
    Masked(u64),
}

/// One condition on an argument (0-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Check {
    pub argument: u8,
    pub compare: Compare,
    pub value: u64,
}

/// What to answer when all conditions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub checks: Vec<Check>,
    pub action: u32,
}

/// Rules of one architecture by number, and the answer for ranges of numbers without rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// `AUDIT_ARCH_*`.
    pub architecture: u32,
    /// Whether registers have 64 bits: else only the low half of an argument is looked at.
    pub wide: bool,
    pub rules: BTreeMap<u32, Vec<Rule>>,
    /// First number of each range, and its answer; begins with 0.
    pub ranges: BTreeMap<u32, u32>,
    /// Answer where rules are there, but none of them holds.
    pub otherwise: u32,
}

impl Section {
    /// Sorts a call's rules into the order in which they are tried: conditional ones first, each kind the strictest
    /// first, as the kernel orders actions.
    fn ordered(rules: &[Rule]) -> Vec<&Rule> {
        let mut sorted: Vec<&Rule> = rules.iter().collect();
        sorted.sort_by_key(|rule| (rule.checks.is_empty(), rule.action as i32));
        if let Some(always) = sorted.iter().position(|rule| rule.checks.is_empty()) {
            sorted.truncate(always + 1);
        }
        sorted
    }

    /// The code for one number's rules; always returns.
    fn leaf(&self, rules: &[Rule]) -> Vec<u64> {
        let mut code = Vec::new();
        let mut decided = false;
        for rule in Self::ordered(rules) {
            code.extend(conditions(rule, self.wide));
            code.push(word(RETURN, 0, 0, rule.action));
            decided |= rule.checks.is_empty();
        }
        if !decided {
            code.push(word(RETURN, 0, 0, self.otherwise));
        }
        code
    }

    /// Ranges of numbers that are answered alike: first number, answer.
    fn intervals(&self) -> Vec<(u32, Answer<'_>)> {
        let default = |number: u32| {
            let range = self.ranges.range(..=number).next_back();
            Answer::Return(range.map_or(self.otherwise, |(_, action)| *action))
        };
        let mut starts: Vec<u32> = Vec::with_capacity(2 * self.rules.len() + self.ranges.len());
        starts.extend(self.ranges.keys());
        for number in self.rules.keys() {
            starts.push(*number);
            starts.extend(number.checked_add(1));
        }
        starts.sort_unstable();
        starts.dedup();
        let mut intervals: Vec<(u32, Answer<'_>)> = Vec::with_capacity(starts.len());
        for start in starts {
            let answer = match self.rules.get(&start).map(Vec::as_slice) {
                Some([rule]) if rule.checks.is_empty() => Answer::Return(rule.action),
                Some(rules) => Answer::Rules(rules),
                None => default(start),
            };
            if intervals.last().is_none_or(|(_, known)| *known != answer) {
                intervals.push((start, answer));
            }
        }
        intervals
    }

    /// A decision tree over sorted intervals.
    fn tree(&self, intervals: &[(u32, Answer<'_>)]) -> Vec<u64> {
        match intervals {
            [] => Vec::new(),
            [(_, Answer::Return(action))] => vec![word(RETURN, 0, 0, *action)],
            [(_, Answer::Rules(rules))] => self.leaf(rules),
            _ => {
                let middle = intervals.len() / 2;
                let (lower, upper) = (self.tree(&intervals[..middle]), self.tree(&intervals[middle..]));
                let first = intervals[middle].0;
                let mut code = Vec::with_capacity(lower.len() + upper.len() + 2);
                if let Ok(near) = u8::try_from(lower.len()) {
                    code.push(word(JUMP_AT_LEAST, near, 0, first));
                } else {
                    code.push(word(JUMP_AT_LEAST, 0, 1, first));
                    code.push(word(JUMP, 0, 0, lower.len() as u32));
                }
                code.extend(lower);
                code.extend(upper);
                code
            }
        }
    }
}

/// What a number is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer<'a> {
    /// Always this.
    Return(u32),
    /// As the call's rules say.
    Rules(&'a [Rule]),
}

/// Where a comparison goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Next,
    /// The condition holds.
    Holds,
    /// It does not, so the rule is not met.
    Fails,
}

type Step = (u16, To, To, u32);

fn steps(check: &Check, wide: bool) -> Vec<Step> {
    use To::{Fails, Holds, Next};
    let (high, low) = ((check.value >> 32) as u32, check.value as u32);
    let offset = ARGUMENTS + 8 * u32::from(check.argument);
    let (low_at, high_at) = if cfg!(target_endian = "little") {
        (offset, offset + 4)
    } else {
        (offset + 4, offset)
    };
    let mut steps: Vec<Step> = Vec::with_capacity(6);
    let load = |at| (LOAD, Next, Next, at);
    if wide {
        steps.push(load(high_at));
        match check.compare {
            Compare::Equal => steps.push((JUMP_EQUAL, Next, Fails, high)),
            Compare::NotEqual => steps.push((JUMP_EQUAL, Next, Holds, high)),
            Compare::Masked(mask) => {
                steps.push((AND, Next, Next, (mask >> 32) as u32));
                steps.push((JUMP_EQUAL, Next, Fails, high));
            }
            Compare::Greater | Compare::AtLeast => {
                steps.push((JUMP_GREATER, Holds, Next, high));
                steps.push((JUMP_EQUAL, Next, Fails, high));
            }
            Compare::Less | Compare::AtMost => {
                steps.push((JUMP_GREATER, Fails, Next, high));
                steps.push((JUMP_EQUAL, Next, Holds, high));
            }
        }
    }
    steps.push(load(low_at));
    steps.extend(match check.compare {
        Compare::Equal => vec![(JUMP_EQUAL, Holds, Fails, low)],
        Compare::NotEqual => vec![(JUMP_EQUAL, Fails, Holds, low)],
        Compare::Masked(mask) => vec![(AND, Next, Next, mask as u32), (JUMP_EQUAL, Holds, Fails, low)],
        Compare::Greater => vec![(JUMP_GREATER, Holds, Fails, low)],
        Compare::AtLeast => vec![(JUMP_AT_LEAST, Holds, Fails, low)],
        Compare::Less => vec![(JUMP_AT_LEAST, Fails, Holds, low)],
        Compare::AtMost => vec![(JUMP_GREATER, Fails, Holds, low)],
    });
    steps
}

/// A rule's conditions; falls through to its return when all hold, and jumps past that when one does not. At most six
/// conditions of at most six instructions: no jump is longer than its eight bits allow.
fn conditions(rule: &Rule, wide: bool) -> Vec<u64> {
    let checks: Vec<Vec<Step>> = rule.checks.iter().map(|check| steps(check, wide)).collect();
    let total: usize = checks.iter().map(Vec::len).sum();
    let mut code = Vec::with_capacity(total);
    let mut end_of_check = 0;
    for check in &checks {
        end_of_check += check.len();
        for (operation, yes, no, k) in check {
            let here = code.len() + 1;
            let offset = |to: &To| match to {
                To::Next => 0,
                To::Holds => (end_of_check - here) as u8,
                To::Fails => (total + 1 - here) as u8,
            };
            let (yes, no) = match *operation {
                LOAD | AND => (0, 0),
                _ => (offset(yes), offset(no)),
            };
            code.push(word(*operation, yes, no, *k));
        }
    }
    code
}

/// Compiles sections into one program. A call of any other architecture ends the process: its numbers mean other calls.
pub(super) fn compile(sections: &[Section]) -> Result<Vec<u64>, SeccompError> {
    let mut program = vec![word(LOAD, 0, 0, ARCHITECTURE)];
    for section in sections {
        let mut body = vec![word(LOAD, 0, 0, NUMBER)];
        body.extend(section.tree(&section.intervals()));
        program.push(word(JUMP_EQUAL, 1, 0, section.architecture));
        program.push(word(JUMP, 0, 0, body.len() as u32));
        program.extend(body);
    }
    program.push(word(RETURN, 0, 0, KILL_PROCESS));
    if program.len() > MAX_INSTRUCTIONS {
        return Err(SeccompError::TooLarge(program.len()));
    }
    Ok(program)
}
