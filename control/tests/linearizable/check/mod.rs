//! The checker: whether a history could be that of one store that does one thing at a time.
//!
//! The general question is hard to compute, but a store tells the revision of every write, which fixes their order. What
//! remains is easy: [`log`] puts together the sequence of all changes from what was acknowledged and seen, and checks
//! each compare-and-swap against the change before it; [`reads`] looks for a place in that sequence for everything that
//! was read, later than all that had returned before and earlier than all that was invoked after; [`watches`] compares
//! what watchers saw with the sequence.
//!
//! A write whose answer never came may have happened or not. If anybody ever saw its value, it did. A deletion leaves no
//! value: one that nobody saw is taken to have happened just if something shows that it must have.

mod log;
mod reads;
mod watches;

use crate::history::History;

/// Why a history is impossible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Two changes at one revision, or one write at two.
    Contradiction(String),
    /// Something was seen that nobody wrote, or whose write was refused.
    Invented(String),
    /// A write succeeded although what it expected had been changed before.
    LostUpdate(String),
    /// A write got a revision below one that was known before it began.
    WentBack(String),
    /// An answer that was not true any more when it was asked for.
    Stale(String),
    /// An answer that could not be true yet, or never was.
    Impossible(String),
    /// A list that is of no single state.
    Torn(String),
    /// A watcher was not told of a change.
    Missed(String),
    /// A watcher was told twice.
    Duplicate(String),
    /// A watcher was told in another order.
    Reordered(String),
    /// A watcher was told something wrong about a change.
    WrongEvent(String),
    /// A watcher did not get to the end.
    Stalled(String),
}

/// Checks a history.
pub fn check(history: &History) -> Result<(), Fault> {
    let log = log::Log::new(history)?;
    reads::check(history, &log)?;
    watches::check(history, &log)
}
