//! Which rows there are, and what is in them.
//!
//! Rows of `objects`: key `group/resource/KEY`, value `version byte, expiry (u64), revision (u64), JSON`, the JSON sealed by
//! [`crate::encryption`] where that is configured. `changed` holds the revision of the last change of each resource, so that
//! a client's watch survives a restart; `meta` the revision, and after a restore the revision below which nothing is known.

use std::borrow::Cow;

use redb::{ReadTransaction, TableDefinition};

use crate::encryption::{Rules, SealError, path_of};
use crate::object::GroupResource;
use crate::store::index::Applied;

pub const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
pub const CHANGED: TableDefinition<'_, &str, u64> = TableDefinition::new("changed");
pub const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Format of the rows; a file of another format is refused.
pub const FORMAT: u64 = 1;
/// First byte of an object's row: plain JSON follows the header.
pub(super) const PLAIN: u8 = 0;
/// First byte of an object's row: encrypted JSON follows the header, so that versions that know no encryption refuse it.
pub(super) const SEALED: u8 = 1;
/// No store comes to this revision: clients read them as signed numbers.
pub const NEWEST: u64 = i64::MAX as u64;
/// No store begins above this revision, so that none comes to the end.
pub const HIGHEST_START: u64 = NEWEST / 2;
/// Bytes before the JSON.
const HEADER: usize = 17;

/// A row as loaded.
#[derive(Debug)]
pub struct Row<'a> {
    /// Resource.
    pub resource: GroupResource,
    /// Key inside the resource.
    pub key: &'a str,
    /// Expiry in Unix seconds.
    pub expires: Option<u64>,
    /// Revision of the last change.
    pub revision: u64,
    /// JSON, possibly sealed.
    pub stored: &'a [u8],
}

/// The revisions that a file holds beside its rows.
#[derive(Debug, Clone, Copy)]
pub struct Meta {
    /// Revision of the newest change.
    pub revision: u64,
    /// Nothing is known of what happened up to this revision (0: everything is; see [`crate::store::snapshot`]).
    pub compacted: u64,
}

impl Meta {
    /// Reads them.
    pub fn read(view: &ReadTransaction) -> Result<Self, redb::Error> {
        let meta = view.open_table(META)?;
        let number = |name: &str| meta.get(name).map(|row| row.map(|row| row.value()));
        Ok(Self {
            revision: number("revision")?.unwrap_or(1),
            compacted: number("compacted")?.unwrap_or(0),
        })
    }

    /// Whether a store can be at these: clients read revisions as signed numbers.
    pub(super) fn is_possible(&self) -> bool {
        self.compacted <= self.revision && self.revision < NEWEST
    }

    /// The row, if it is not younger than the newest change.
    pub(super) fn check<'a>(&self, row: Row<'a>) -> Result<Row<'a>, String> {
        if row.revision > self.revision {
            return Err(format!(
                "revision {} is younger than the newest one",
                row.revision
            ));
        }
        Ok(row)
    }
}

/// What is stored of a change's object; nothing of a deletion.
pub(super) fn seal<'a>(change: &'a Applied, rules: &Rules) -> Result<Cow<'a, [u8]>, SealError> {
    let chain = rules.of(&change.resource);
    if change.deleted || !chain.encrypts() {
        return Ok(Cow::Borrowed(&change.object.bytes));
    }
    chain.seal(&path_of(&change.resource, &change.key), &change.object.bytes)
}

pub(super) fn encode(change: &Applied, form: u8, stored: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(form);
    out.extend_from_slice(&change.expires.unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&change.object.resource_version.to_le_bytes());
    out.extend_from_slice(stored);
}

/// Splits `group/resource/KEY`.
pub fn split(row: &str) -> Option<(GroupResource, &str)> {
    let (group, rest) = row.split_once('/')?;
    let (resource, key) = rest.split_once('/')?;
    Some((GroupResource::new(group, resource), key))
}

/// Reads a row, which may be anything.
pub fn decode<'a>(key: &'a str, value: &'a [u8]) -> Result<Row<'a>, String> {
    let (resource, key) = split(key).ok_or("bad key")?;
    let (header, stored) = value.split_at_checked(HEADER).ok_or("too short")?;
    if !matches!(header[0], PLAIN | SEALED) {
        return Err(format!("unknown encoding {}", header[0]));
    }
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&header[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    Ok(Row {
        resource,
        key,
        expires: Some(number(1)).filter(|at| *at != 0),
        revision: number(9),
        stored,
    })
}
