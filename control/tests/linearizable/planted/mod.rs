//! The checker must find what is wrong: in histories written by hand ([`writes`], [`watches`]), in real ones with one thing
//! changed ([`changed`]), and in what clients are told by stores that break their promises ([`stores`], [`etcd`]).

mod changed;
mod etcd;
mod stores;
mod watches;
mod writes;

use std::time::Duration;

use crate::check::{Fault, check};
use crate::driver::Plan;
use crate::history::{Answer, Call, History, Operation, Seen, Time};
use crate::place::Place;
use crate::record;

const KEY: &str = "a/x";

fn seen(revision: u64, value: u64) -> Seen {
    Seen { revision, value }
}

fn operation(invoked: Time, returned: Time, call: Call, answer: Answer) -> Operation {
    Operation {
        call,
        invoked,
        returned: Some((returned, answer)),
    }
}

fn unknown(invoked: Time, call: Call) -> Operation {
    Operation {
        call,
        invoked,
        returned: None,
    }
}

fn create(value: u64) -> Call {
    Call::Create {
        key: KEY.to_owned(),
        value,
    }
}

fn update(value: u64, expect: u64) -> Call {
    Call::Update {
        key: KEY.to_owned(),
        value,
        expect,
    }
}

fn delete(expect: u64) -> Call {
    Call::Delete {
        key: KEY.to_owned(),
        expect,
    }
}

fn get() -> Call {
    Call::Get { key: KEY.to_owned() }
}

fn list() -> Call {
    Call::List {
        namespace: None,
        at: None,
    }
}

fn page(revision: u64, objects: &[(&str, Seen)]) -> Answer {
    Answer::Page {
        revision,
        objects: objects
            .iter()
            .map(|(key, seen)| ((*key).to_owned(), *seen))
            .collect(),
    }
}

fn found(revision: u64, value: u64) -> Answer {
    Answer::Object(Some(seen(revision, value)))
}

fn written(revision: u64, value: u64) -> Answer {
    Answer::Written(seen(revision, value))
}

/// Created at 2 as value 12, updated at 3 to value 13.
fn two_writes() -> Vec<Operation> {
    vec![
        operation(10, 20, create(12), written(2, 12)),
        operation(30, 40, update(13, 2), written(3, 13)),
    ]
}

fn checked(operations: Vec<Operation>) -> Result<(), Fault> {
    check(&History {
        operations,
        watches: Vec::new(),
    })
}

/// Two writes, and then this.
fn after_two(more: impl IntoIterator<Item = Operation>) -> Result<(), Fault> {
    checked(two_writes().into_iter().chain(more).collect())
}

macro_rules! assert_fault {
    ($result:expr, $kind:ident) => {{
        let result = $result;
        assert!(matches!(result, Err(Fault::$kind(_))), "{result:?}");
    }};
}
use assert_fault;

/// A real history, without a fault.
fn real(seed: u64) -> History {
    let dir = tempfile::tempdir().unwrap();
    let history = record(vec![Place::directory(dir.path()).open()], plan(seed));
    assert_eq!(check(&history), Ok(()), "seed {seed}");
    history
}

fn plan(seed: u64) -> Plan {
    Plan {
        seed,
        clients: 5,
        calls: 200,
        watchers: 2,
        drain: Duration::from_secs(2),
    }
}
