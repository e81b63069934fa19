//! Classes of frontends and the chain of each.

use std::collections::HashMap;

use super::super::Marks;
use super::super::batch::{Batch, ElementValue};
use super::super::expression::{Dynamic, Rule, Verdict};
use super::layout;
use crate::service::{Frontend, Otherwise, Place, Target};

/// The chain that drops.
const IGNORED: &str = "ignored";

/// What the rules of a frontend depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Class {
    /// No endpoints.
    None(Otherwise),
    /// `count` endpoints.
    Some {
        /// Keyed without an address.
        node_port: bool,
        /// Hide the client's address.
        masquerade: bool,
        /// How many.
        count: u16,
        /// Seconds that a client stays, and the protocol: nft wants it named before a translation through an id.
        affinity: Option<(u32, u8)>,
    },
}

impl Class {
    /// The class of a frontend.
    pub(super) fn of(frontend: &Frontend, target: &Target) -> Self {
        let count = slots(target);
        if count == 0 {
            return Self::None(target.otherwise);
        }
        Self::Some {
            node_port: frontend.place == Place::Node,
            masquerade: target.masquerade,
            count,
            affinity: target.affinity.map(|seconds| (seconds, frontend.protocol)),
        }
    }

    /// Name of the chain, which operators read.
    fn chain(self) -> String {
        match self {
            Self::None(Otherwise::Reject) => layout::REFUSED.into(),
            Self::None(Otherwise::Drop) => IGNORED.into(),
            Self::Some {
                node_port,
                masquerade,
                count,
                affinity,
            } => {
                let place = if node_port { "port" } else { "vip" };
                let source = if masquerade { "-masq" } else { "" };
                let sticky = affinity
                    .map(|(s, p)| format!("-sticky-{s}-{p}"))
                    .unwrap_or_default();
                format!("{place}-{count}{source}{sticky}")
            }
        }
    }

    /// The class that a chain was made for.
    fn of_chain(name: &str) -> Option<Self> {
        match name {
            layout::REFUSED => return Some(Self::None(Otherwise::Reject)),
            IGNORED => return Some(Self::None(Otherwise::Drop)),
            _ => {}
        }
        let mut parts = name.split('-').peekable();
        let node_port = match parts.next()? {
            "vip" => false,
            "port" => true,
            _ => return None,
        };
        let count = parts.next()?.parse().ok()?;
        let masquerade = parts.next_if_eq(&"masq").is_some();
        let affinity = match parts.next() {
            Some("sticky") => Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?)),
            _ => None,
        };
        let class = Self::Some {
            node_port,
            masquerade,
            count,
            affinity,
        };
        // Nothing else was in the name.
        (class.chain() == name).then_some(class)
    }

    /// Adds the chain and its rules.
    fn define(self, batch: &mut Batch, name: &str, marks: Marks) {
        let Self::Some {
            node_port,
            masquerade,
            count,
            affinity,
        } = self
        else {
            if self == Self::None(Otherwise::Drop) {
                batch.chain(name, None);
                batch.rule(name, |r| {
                    r.verdict(Verdict::Drop);
                });
            }
            return; // the chain that rejects is part of the layout
        };
        batch.chain(name, None);
        // Takes the class off the packet: it was for the dispatch only.
        let mark = if masquerade { marks.masquerade() } else { 0 };
        batch.rule(name, |r| {
            r.set_mark(mark);
        });
        match affinity {
            None => spread(batch, name, node_port, count),
            Some(affinity) => stick(batch, name, node_port, count, affinity),
        }
        // The endpoints have just gone. Without this the connection would be remembered untranslated.
        batch.rule(name, |r| {
            r.verdict(Verdict::Goto(layout::REFUSED));
        });
    }
}

/// Endpoints that have a slot; more than 65,535 do not fit in a class.
pub(super) fn slots(target: &Target) -> u16 {
    u16::try_from(target.endpoints.len()).unwrap_or(u16::MAX)
}

fn frontend_key(rule: &mut Rule<'_>, node_port: bool) -> u32 {
    let word = if node_port { 0 } else { rule.key_destination(0) };
    rule.key_port(word)
}

/// A random slot; and slot 0 when that one has just gone: the look-ups of class and endpoint are not one atomic read
/// (trap 1).
fn spread(batch: &mut Batch, name: &str, node_port: bool, count: u16) {
    let map = if node_port {
        layout::NODE_ENDPOINTS
    } else {
        layout::ENDPOINTS
    };
    for modulus in [u32::from(count), 1] {
        batch.rule(name, |r| {
            let word = frontend_key(r, node_port);
            r.key_random(modulus, word);
            r.map(map.name).dnat();
        });
    }
}

/// The endpoint that the client had, as long as it is one; else a random one, which is remembered. Ids of endpoints
/// are at least 0x10000, so that a slot number is never taken for one.
fn stick(batch: &mut Batch, name: &str, node_port: bool, count: u16, (seconds, protocol): (u32, u8)) {
    let slots = if node_port {
        layout::NODE_SLOTS
    } else {
        layout::SLOTS
    };
    let client = |r: &mut Rule<'_>| {
        let word = r.key_source(0);
        let word = r.key_destination(word);
        r.key_port(word)
    };
    let remember = |r: &mut Rule<'_>, op, timeout| {
        // Data starts at a register of 16 bytes.
        let word = client(r).next_multiple_of(4);
        r.key_ct_mark(word);
        r.dynamic(op, layout::AFFINITY.name, word, timeout);
    };
    let translate = |r: &mut Rule<'_>| {
        r.protocol(protocol).key_ct_mark(0);
        r.map(layout::ENDPOINT_IDS.name).dnat();
    };
    batch.rule(name, |r| {
        client(r);
        r.map(layout::AFFINITY.name).set_ct_mark_from_word();
    });
    batch.rule(name, |r| {
        remember(r, Dynamic::Update, Some(seconds));
        translate(r);
    });
    for (modulus, again) in [(u32::from(count), false), (1, true)] {
        batch.rule(name, |r| {
            // Slot 0, when the random one had no id.
            if again {
                r.ct_mark_small();
            }
            r.key_random(modulus, 0);
            r.set_ct_mark_from_word();
        });
        batch.rule(name, |r| {
            r.ct_mark_small();
            let word = frontend_key(r, node_port);
            r.key_ct_mark(word);
            r.map(slots.name).set_ct_mark_from_word();
        });
    }
    batch.rule(name, |r| remember(r, Dynamic::Delete, None));
    batch.rule(name, |r| remember(r, Dynamic::Add, Some(seconds)));
    batch.rule(name, translate);
}

/// The classes that have a chain, and their numbers.
#[derive(Debug, Clone)]
pub(super) struct Classes {
    marks: Marks,
    numbers: HashMap<Class, u16>,
}

impl Classes {
    /// None yet.
    pub(super) fn new(marks: Marks) -> Self {
        Self {
            marks,
            numbers: HashMap::new(),
        }
    }

    /// Those of a loaded table: `dispatch` lists mark and chain. `None` when they are not understood.
    pub(super) fn adopt<'a>(marks: Marks, dispatch: impl Iterator<Item = (u32, &'a str)>) -> Option<Self> {
        let mut numbers = HashMap::new();
        for (mark, chain) in dispatch {
            let number = mark as u16;
            if marks.class(number) != mark || numbers.insert(Class::of_chain(chain)?, number).is_some() {
                return None;
            }
        }
        // Numbers are given in turn.
        let dense = numbers.values().all(|n| usize::from(*n) < numbers.len());
        dense.then_some(Self { marks, numbers })
    }

    /// How many chains there are. They are not removed one by one: that would need proof that no element names them.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The mark of a class; adds its chain to `batch` when it is new. `None` when there are too many.
    pub(super) fn mark(&mut self, batch: &mut Batch, class: Class) -> Option<u32> {
        if let Some(number) = self.numbers.get(&class) {
            return Some(self.marks.class(*number));
        }
        // 0xffff is the mark for masquerading.
        let number = u16::try_from(self.numbers.len()).ok().filter(|n| *n < 0xffff)?;
        let name = class.chain();
        class.define(batch, &name, self.marks);
        let mark = self.marks.class(number);
        batch.add(
            layout::DISPATCH.name,
            &mark.to_ne_bytes(),
            &ElementValue::Goto(&name),
        );
        self.numbers.insert(class, number);
        Some(mark)
    }
}
