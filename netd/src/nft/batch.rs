//! Transactions: tables, chains, rules, sets and elements, committed all or nothing.

use nix::errno::Errno;

use super::expression::{Rule, Verdict, verdict};
use super::family::Family;
use super::set::{Set, Value, concatenation, user_data};
use crate::netlink::{self, Answer, Socket, Writer};

pub(super) const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const NEW_SET: u16 = 9;
const NEW_ELEMENT: u16 = 12;
const DELETE_ELEMENT: u16 = 14;

pub(super) const REQUEST: u16 = 1;
const ACK: u16 = 4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

pub(super) const TABLE_NAME: u16 = 1;
/// An attribute's length is 16 bits; stay well below (trap 6).
const MAX_ELEMENT_BYTES: usize = 48_000;

/// Why the kernel's tables could not be changed.
#[derive(Debug, thiserror::Error)]
#[error("nftables table {table}: {source}")]
pub(crate) struct Error {
    /// The table.
    pub(crate) table: String,
    /// The kernel's answer.
    #[source]
    pub(crate) source: netlink::Error,
}

impl Error {
    /// The table, set or element is not there: somebody else removed it.
    pub(crate) fn is_missing(&self) -> bool {
        self.source.errno() == Some(Errno::ENOENT)
    }
}

/// Where a base chain hangs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hook {
    /// `filter` or `nat`.
    pub(super) kind: &'static str,
    /// `NF_INET_*`.
    pub(super) number: u32,
    /// Lower comes first.
    pub(super) priority: i32,
}

/// One element: key, and value or verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ElementValue<'a> {
    None,
    Data(&'a [u8]),
    Goto(&'a str),
}

/// A transaction on one table.
#[derive(Debug)]
pub(crate) struct Batch {
    writer: Writer,
    table: String,
    family: Family,
    sequence: u32,
    sets: u32,
    /// Elements being collected into messages, one for each set: what is done to one set stays in order, what is done
    /// to different ones need not.
    open: Vec<OpenElements>,
}

#[derive(Debug)]
struct OpenElements {
    delete: bool,
    set: &'static str,
    body: Writer,
}

impl Batch {
    /// An empty transaction on `table`.
    pub(crate) fn new(table: &str, family: Family) -> Self {
        let mut batch = Self {
            writer: Writer::new(),
            table: table.to_owned(),
            family,
            sequence: 1,
            sets: 0,
            open: Vec::new(),
        };
        batch.boundary(BATCH_BEGIN);
        batch
    }

    /// Whether anything was asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.sequence == 1 && self.open.is_empty()
    }

    /// The family of the table.
    pub(super) fn family(&self) -> Family {
        self.family
    }

    fn boundary(&mut self, kind: u16) {
        self.writer
            .message(kind, REQUEST, 0, |w| w.raw(&[0, 0, 0, SUBSYSTEM as u8]));
    }

    fn message(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Writer)) {
        self.flush();
        self.append(kind, flags, body);
    }

    fn append(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Writer)) {
        let (table, family) = (&self.table, self.family);
        self.writer
            .message(SUBSYSTEM << 8 | kind, flags | REQUEST, self.sequence, |w| {
                w.raw(&[family.number(), 0, 0, 0]);
                w.string(TABLE_NAME, table);
                body(w);
            });
        self.sequence += 1;
    }

    /// Replaces the table by an empty one, whether or not it was there.
    pub(super) fn replace_table(&mut self) {
        self.message(NEW_TABLE, CREATE, |w| w.u32(2, 0));
        self.message(DELETE_TABLE, 0, |_| ());
        self.message(NEW_TABLE, CREATE, |w| w.u32(2, 0));
    }

    /// Makes the table one that only the socket which commits this may change, and that goes with it.
    #[cfg(test)]
    pub(crate) fn own_table(&mut self) {
        self.message(NEW_TABLE, CREATE, |w| w.u32(2, 2));
    }

    /// Deletes the table, whether or not it was there.
    pub(super) fn remove_table(&mut self) {
        self.message(NEW_TABLE, CREATE, |w| w.u32(2, 0));
        self.message(DELETE_TABLE, 0, |_| ());
    }

    /// Adds a chain.
    pub(super) fn chain(&mut self, name: &str, hook: Option<Hook>) {
        self.message(NEW_CHAIN, CREATE, |w| {
            w.string(3, name);
            if let Some(hook) = hook {
                w.nest(4, |w| {
                    w.u32(1, hook.number);
                    w.u32(2, hook.priority as u32);
                });
                w.u32(5, 1); // policy accept
                w.string(7, hook.kind);
            }
        });
    }

    /// Appends a rule to a chain.
    pub(super) fn rule(&mut self, chain: &str, body: impl FnOnce(&mut Rule<'_>)) {
        let family = self.family;
        self.message(NEW_RULE, CREATE | APPEND, |w| {
            w.string(2, chain);
            w.nest(4, |writer| body(&mut Rule { writer, family }));
        });
    }

    /// Adds a set or map.
    pub(super) fn set(&mut self, set: &Set) {
        self.sets += 1;
        let (id, family) = (self.sets, self.family);
        let (key_type, key_length) = concatenation(set.key, family);
        let mut flags = 0;
        if set.value != Value::None {
            flags |= 0x08;
        }
        if set.dynamic.is_some() {
            flags |= 0x10 | 0x20;
        }
        self.message(NEW_SET, CREATE, |w| {
            w.string(2, set.name);
            w.u32(3, flags);
            w.u32(4, key_type);
            w.u32(5, key_length);
            match set.value {
                Value::None => {}
                Value::Verdict => {
                    w.u32(6, 0xffff_ff00);
                    w.u32(7, 0);
                }
                Value::Data(types) => {
                    let (data_type, data_length) = concatenation(types, family);
                    w.u32(6, data_type);
                    w.u32(7, data_length);
                }
            }
            if let Some(size) = set.dynamic {
                w.nest(9, |w| w.u32(1, size));
            }
            w.u32(10, id);
            w.bytes(13, &user_data(set, family));
        });
    }

    /// Adds an element.
    pub(super) fn add(&mut self, set: &'static str, key: &[u8], value: &ElementValue<'_>) {
        self.element(false, set, key, value);
    }

    /// Deletes an element, which must be there.
    pub(super) fn delete(&mut self, set: &'static str, key: &[u8]) {
        self.element(true, set, key, &ElementValue::None);
    }

    fn element(&mut self, delete: bool, set: &'static str, key: &[u8], value: &ElementValue<'_>) {
        let at = match self.open.iter().position(|o| o.set == set) {
            Some(at) if self.open[at].delete == delete && self.open[at].body.len() < MAX_ELEMENT_BYTES => at,
            other => {
                if let Some(at) = other {
                    let full = self.open.swap_remove(at);
                    self.close(full);
                }
                self.open.push(OpenElements {
                    delete,
                    set,
                    body: Writer::new(),
                });
                self.open.len() - 1
            }
        };
        let open = &mut self.open[at];
        open.body.nest(1, |w| {
            w.nest(1, |w| w.bytes(1, key));
            match value {
                ElementValue::None => {}
                ElementValue::Data(data) => w.nest(2, |w| w.bytes(1, data)),
                ElementValue::Goto(chain) => w.nest(2, |w| verdict(w, Verdict::Goto(chain))),
            }
        });
    }

    fn flush(&mut self) {
        for open in std::mem::take(&mut self.open) {
            self.close(open);
        }
    }

    fn close(&mut self, open: OpenElements) {
        let kind = if open.delete { DELETE_ELEMENT } else { NEW_ELEMENT };
        let body = open.body.into_bytes();
        self.append(kind, CREATE, |w| {
            w.string(2, open.set);
            w.nest(3, |w| w.raw(&body));
        });
    }

    /// Commits. Either everything is in force afterwards, or nothing was changed.
    pub(crate) fn commit(mut self, socket: &mut Socket) -> Result<(), Error> {
        // The batch end is not acknowledged by older kernels, so the last real message asks for it: naming the table
        // again changes nothing.
        self.flush();
        let last = self.sequence;
        self.append(NEW_TABLE, ACK, |_| ());
        self.boundary(BATCH_END);
        let table = self.table;
        let wrap = |source| Error {
            table: table.clone(),
            source,
        };
        socket.send(&self.writer.into_bytes()).map_err(wrap)?;
        loop {
            let answers = socket.receive().map_err(wrap)?;
            if answers.is_empty() {
                let source = netlink::Error::silence();
                return Err(wrap(source));
            }
            for answer in answers {
                match answer {
                    Answer::Ack(sequence) if sequence == last => return Ok(()),
                    Answer::Error(sequence, errno, message) => {
                        // Later messages of a failed batch are answered too: leave the queue empty.
                        while !socket.receive().map_err(wrap)?.is_empty() {}
                        return Err(wrap(netlink::Error::Refused {
                            errno,
                            message,
                            sequence,
                        }));
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Opens a socket for transactions in the calling thread's network namespace.
pub(crate) fn open() -> Result<Socket, Error> {
    Socket::open(libc::NETLINK_NETFILTER).map_err(|source| Error {
        table: "-".into(),
        source,
    })
}

/// Deletes a table if it is there.
pub(crate) fn delete_table(table: &str, family: Family) -> Result<(), Error> {
    let mut batch = Batch::new(table, family);
    batch.remove_table();
    // The acknowledged message must not name the deleted table.
    batch.commit_removal(&mut open()?)
}

impl Batch {
    fn commit_removal(mut self, socket: &mut Socket) -> Result<(), Error> {
        self.boundary(BATCH_END);
        let table = self.table;
        let wrap = |source| Error {
            table: table.clone(),
            source,
        };
        socket.send(&self.writer.into_bytes()).map_err(wrap)?;
        for answer in socket.receive().map_err(wrap)? {
            if let Answer::Error(sequence, errno, message) = answer {
                return Err(wrap(netlink::Error::Refused {
                    errno,
                    message,
                    sequence,
                }));
            }
        }
        Ok(())
    }
}
