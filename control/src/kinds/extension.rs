//! Kinds that extend the API server: definitions, aggregated services, admission, priority and fairness.
//!
//! They are stored and shown; what acts on them lives elsewhere (see docs/CONFORMANCE.md for what does).

mod admission;
pub(super) mod definition;
mod flow;
mod webhook;

use super::Kind;

/// Their kinds.
pub(super) fn kinds() -> Vec<Kind> {
    let mut kinds = admission::kinds();
    kinds.extend(definition::kinds());
    kinds.extend(flow::kinds());
    kinds
}
