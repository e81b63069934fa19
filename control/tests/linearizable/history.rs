//! What clients did with a store, and what they were told: plain data, made by the [driver](crate::driver) or by hand.
//!
//! Every value that is written is unique, so that what is read tells which write it is of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Nanoseconds of the machine's monotonic clock, which all processes share.
pub type Time = u64;

/// An object as somebody saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub revision: u64,
    pub value: u64,
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    Create {
        key: String,
        value: u64,
    },
    Update {
        key: String,
        value: u64,
        expect: u64,
    },
    Delete {
        key: String,
        expect: u64,
    },
    Get {
        key: String,
    },
    /// Of a namespace or all; now, or as of a revision.
    List {
        namespace: Option<String>,
        at: Option<u64>,
    },
}

/// What it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Done at this revision; of a deletion, the value is the last one.
    Written(Seen),
    Exists,
    NotFound,
    /// Refused: the object is this one.
    Conflict(Seen),
    Object(Option<Seen>),
    Page {
        revision: u64,
        objects: BTreeMap<String, Seen>,
    },
    /// That revision is not known any more.
    Compacted,
    /// That revision has not happened yet.
    Future,
}

/// One call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Operation {
    pub call: Call,
    pub invoked: Time,
    /// `None` if the client never learned: the process was killed, or it did not wait.
    pub returned: Option<(Time, Answer)>,
}

/// A change as a watcher saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub key: String,
    /// Of a deletion, the value is the last one.
    pub seen: Seen,
    pub deleted: bool,
    pub previous: Option<Seen>,
}

/// What a watcher was told at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Notice {
    pub at: Time,
    pub events: Vec<Event>,
    /// Everything up to here has been told.
    pub upto: u64,
}

/// How a watch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It was killed, or given up.
    Killed,
    /// The history was gone.
    Compacted,
    /// It was asked, after everything else had come to its end, to go on until nothing was missing, within a time.
    Drained,
}

/// One watch.
#[derive(Debug, Clone)]
pub struct Watch {
    pub after: u64,
    pub notices: Vec<Notice>,
    pub end: End,
}

/// Everything that happened.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub operations: Vec<Operation>,
    pub watches: Vec<Watch>,
}

/// A step of a history as it is recorded. Numbers tell which steps belong together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Entry {
    Invoked(u64, Time, Call),
    Returned(u64, Time, Answer),
    Watching(u64, u64),
    Noticed(u64, Notice),
    Ended(u64, End),
}

impl History {
    /// Puts recorded steps together.
    pub fn from_entries(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut operations = BTreeMap::new();
        let mut watches = BTreeMap::new();
        for entry in entries {
            match entry {
                Entry::Invoked(id, invoked, call) => {
                    let operation = Operation {
                        call,
                        invoked,
                        returned: None,
                    };
                    assert!(operations.insert(id, operation).is_none(), "{id} twice");
                }
                Entry::Returned(id, at, answer) => {
                    let operation = operations.get_mut(&id).expect("it was invoked");
                    operation.returned = Some((at, answer));
                }
                Entry::Watching(id, after) => {
                    let watch = Watch {
                        after,
                        notices: Vec::new(),
                        end: End::Killed,
                    };
                    assert!(watches.insert(id, watch).is_none(), "{id} twice");
                }
                Entry::Noticed(id, notice) => watches.get_mut(&id).expect("it began").notices.push(notice),
                Entry::Ended(id, end) => watches.get_mut(&id).expect("it began").end = end,
            }
        }
        Self {
            operations: operations.into_values().collect(),
            watches: watches.into_values().collect(),
        }
    }

    /// One history after another, of the same store: what was the end of the first is not the end any more.
    pub fn append(&mut self, later: Self) {
        for watch in self.watches.iter_mut().filter(|watch| watch.end == End::Drained) {
            watch.end = End::Killed;
        }
        self.operations.extend(later.operations);
        self.watches.extend(later.watches);
    }
}
