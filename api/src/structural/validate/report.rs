//! What a validation has found, and what it may still cost. A schema of a few megabytes and an object of a few more can ask
//! for billions of comparisons (each part of a junctor walks over all of the object again), and have millions of errors.

use crate::status::FieldError;
use crate::structural::path::Path;

/// Most errors that are told of one object; more help nobody, and an object may have millions.
pub(super) const MOST: usize = 200;
/// Most steps of a validation: a step is a value that is looked at, and takes some tens of nanoseconds. An object of the
/// largest size that a request may have, without junctors, takes about one million.
pub(in crate::structural) const STEPS: usize = 20_000_000;
/// What an error costs: its text is written.
const ERROR: usize = 100;

/// Errors, up to a number of them, within a number of steps.
#[derive(Debug)]
pub(super) struct Report {
    errors: Vec<FieldError>,
    most: usize,
    steps: usize,
    over: Option<FieldError>,
}

impl Report {
    /// Nothing found yet, and so many steps left.
    pub(super) fn new(steps: usize) -> Self {
        Self {
            errors: Vec::new(),
            most: MOST,
            steps,
            over: None,
        }
    }

    /// What was found, and the steps that are left. If they did not suffice nothing else is known, and that is the error.
    pub(super) fn end(mut self) -> (Vec<FieldError>, usize) {
        let is_full = self.is_full();
        if let Some(over) = self.over {
            self.errors = vec![over];
        }
        if is_full {
            let last = self.errors.pop().map(FieldError::unfinished);
            self.errors.extend(last);
        }
        (self.errors, self.steps)
    }

    /// Whether nothing that could be found is of interest any more.
    pub(super) fn is_full(&self) -> bool {
        self.over.is_some() || self.errors.len() >= self.most
    }

    /// How many errors there are.
    pub(super) fn found(&self) -> usize {
        self.errors.len()
    }

    /// How many more may be told.
    pub(super) fn room(&self) -> usize {
        self.most.saturating_sub(self.errors.len())
    }

    /// Takes steps at a place; false if there are not as many left.
    pub(super) fn spend(&mut self, path: Path<'_>, steps: usize) -> bool {
        if let Some(left) = self.steps.checked_sub(steps) {
            self.steps = left;
        } else if self.over.is_none() {
            let why =
                "the object is too large to be validated by a schema as complex as that of its definition";
            self.over = Some(FieldError::forbidden(path, why));
        }
        self.over.is_none()
    }

    /// Tells an error, if there is room for it.
    pub(super) fn push(&mut self, error: FieldError) {
        if !self.is_full() {
            self.steps = self.steps.saturating_sub(ERROR);
            self.errors.push(error);
        }
    }

    /// Tells what was found aside.
    pub(super) fn extend(&mut self, errors: Vec<FieldError>) {
        let room = self.room();
        self.errors.extend(errors.into_iter().take(room));
    }

    /// What somebody finds, up to so many errors, without telling it.
    pub(super) fn aside(&mut self, most: usize, find: impl FnOnce(&mut Self)) -> Vec<FieldError> {
        let outer = (std::mem::take(&mut self.errors), self.most);
        self.most = most;
        find(self);
        self.most = outer.1;
        std::mem::replace(&mut self.errors, outer.0)
    }
}
