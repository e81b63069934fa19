//! Managers in line with a schema that has changed since they were written down.
//!
//! Source: `reconcileManagedFieldsWithSchemaChanges` of structured-merge-diff. What was one and has become many there needs no
//! more than here: whoever managed all of it manages the position, and none of the items.

use super::Versions;
use super::collect::step_to;
use super::entry::Entry;
use super::place::{Place, Shape};
use super::set::{Node, Set};

/// Who manages something inside of what merges as a whole by now manages the whole.
pub(super) fn settle(versions: &dyn Versions, managers: &mut [Entry]) {
    for entry in managers {
        if let Some(kind) = versions.kind(&entry.version) {
            entry.fields = settled(Place::root(kind), std::mem::take(&mut entry.fields));
        }
    }
}

fn settled(place: Place<'_>, fields: Set) -> Set {
    let mut out = Set::default();
    for (step, Node { member, below }) in fields.into_steps() {
        let node = match step_to(place, &step) {
            Some(child) if !below.is_empty() && matches!(child.shape(), Shape::Leaf) => Node {
                member: true,
                below: Set::EMPTY,
            },
            Some(child) => Node {
                member,
                below: settled(child, below),
            },
            None => Node { member, below },
        };
        out.put(step, node);
    }
    out
}
