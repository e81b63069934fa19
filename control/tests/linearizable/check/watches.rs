//! What watchers were told, against the sequence of changes.

use std::ops::Bound;

use super::Fault;
use super::log::Log;
use crate::history::{Answer, End, Event, History, Watch};

/// Checks all watches.
pub fn check(history: &History, log: &Log) -> Result<(), Fault> {
    let newest = history
        .operations
        .iter()
        .filter_map(|operation| match &operation.returned {
            Some((_, Answer::Written(seen))) => Some(seen.revision),
            _ => None,
        });
    let newest = newest.max().unwrap_or(0);
    for watch in &history.watches {
        let upto = follow(watch, log)?;
        if watch.end == End::Drained && upto < newest {
            return Err(Fault::Stalled(format!("a watch came to {upto}, of {newest}")));
        }
    }
    Ok(())
}

/// Goes through a watch; up to where it came.
fn follow(watch: &Watch, log: &Log) -> Result<u64, Fault> {
    let mut upto = watch.after;
    for notice in &watch.notices {
        // Of the changes that are to come, in this order and without a gap.
        let span = (Bound::Excluded(upto), Bound::Included(notice.upto.max(upto)));
        let mut due = log.changes.range(span).map(|(revision, _)| *revision);
        let mut last = upto;
        for event in &notice.events {
            let revision = event.seen.revision;
            if revision == last {
                return Err(Fault::Duplicate(format!("{event:?}")));
            }
            if revision < last {
                // Either told before, or overtaken by the last one.
                let told = watch.notices.iter().flat_map(|notice| &notice.events);
                let twice = told.filter(|other| other.seen.revision == revision).count() > 1;
                return Err(if twice || revision <= watch.after {
                    Fault::Duplicate(format!("{event:?} after {last}"))
                } else {
                    Fault::Reordered(format!("{event:?} after {last}"))
                });
            }
            match due.next() {
                Some(next) if next == revision => {}
                Some(next) if next < revision => {
                    let told = notice.events.iter().any(|event| event.seen.revision == next);
                    return Err(if told {
                        Fault::Reordered(format!("{event:?} before {next}"))
                    } else {
                        Fault::Missed(format!("revision {next}, before {event:?}"))
                    });
                }
                other => {
                    return Err(Fault::WrongEvent(format!(
                        "{event:?}, when {other:?} was due up to {}",
                        notice.upto
                    )));
                }
            }
            content(event, log)?;
            if log.changes[&revision].invoked > notice.at {
                return Err(Fault::Impossible(format!(
                    "{event:?} was told before it could be"
                )));
            }
            last = revision;
        }
        if let Some(missed) = due.next() {
            return Err(Fault::Missed(format!(
                "revision {missed}, though told up to {}",
                notice.upto
            )));
        }
        if notice.upto < upto {
            return Err(Fault::Reordered(format!(
                "told up to {} after {upto}",
                notice.upto
            )));
        }
        upto = notice.upto;
    }
    Ok(upto)
}

/// Whether an event says of its change what is so.
fn content(event: &Event, log: &Log) -> Result<(), Fault> {
    let change = &log.changes[&event.seen.revision];
    let value = if event.deleted {
        change.previous.map(|previous| previous.value)
    } else {
        change.value
    };
    let same = change.key == event.key
        && change.value.is_none() == event.deleted
        && value == Some(event.seen.value)
        && change.previous == event.previous;
    if same {
        Ok(())
    } else {
        Err(Fault::WrongEvent(format!("{event:?}, where {change:?}")))
    }
}
