//! From kubectl's client-side apply to the server's: the fields in the annotation that still have the value that it set
//! are kubectl's own.

use serde_json::Value;

use super::collect::collect;
use super::compare::compare;
use super::place::Place;
use super::set::Set;

/// The annotation in which client-side apply keeps what it applied.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The fields that client-side apply has set; `None` if it has not, or for another version.
pub(super) fn own(place: Place<'_>, version: &str, live: &Value) -> Option<Set> {
    let text = live["metadata"]["annotations"][LAST_APPLIED].as_str()?;
    let applied: Value = serde_json::from_str(text).ok()?;
    if applied["apiVersion"] != *version {
        return None;
    }
    let mut fields = collect(place, &applied);
    let difference = compare(place, &applied, live);
    fields.subtract(&difference.changed);
    fields.subtract(&difference.removed);
    Some(fields)
}
