//! What only one object of all can have: the cluster addresses and node ports of Services.
//!
//! One server keeps them apart in memory; several need etcd for it. Each item is a key, made and deleted in the same
//! transaction as the object, which fails if somebody else has made it.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::Core;
use super::proto::{Compare, DeleteRangeRequest, Op, PutRequest};
use crate::object::{GroupResource, Object};

/// Names of the items that an object has.
pub type Claims = fn(&GroupResource, &Object) -> BTreeSet<String>;

/// What a write does to claims.
#[derive(Debug, Default)]
pub struct Change {
    taken: Vec<String>,
    released: Vec<String>,
}

impl Change {
    /// From what the object had to what it will have.
    pub fn between(
        core: &Core,
        resource: &GroupResource,
        old: Option<&Object>,
        new: Option<&Object>,
    ) -> Self {
        let of = |object: Option<&Object>| {
            object
                .map(|object| (core.options.claims)(resource, object))
                .unwrap_or_default()
        };
        let (old, new) = (of(old), of(new));
        Self {
            taken: new.difference(&old).cloned().collect(),
            released: old.difference(&new).cloned().collect(),
        }
    }

    /// What must hold.
    pub fn conditions<'a>(&'a self, core: &'a Core) -> impl Iterator<Item = Compare> {
        self.taken
            .iter()
            .map(|item| Compare::version(&key(core, item), 0))
    }

    /// What is done.
    pub fn operations<'a>(&'a self, core: &'a Core, owner: &'a [u8]) -> impl Iterator<Item = Op> {
        let taken = self.taken.iter().map(|item| {
            Op::Put(PutRequest {
                key: key(core, item),
                value: Bytes::copy_from_slice(owner),
                lease: 0,
            })
        });
        let released = self.released.iter().map(|item| {
            Op::Delete(DeleteRangeRequest {
                key: key(core, item),
                prev_kv: false,
            })
        });
        taken.chain(released)
    }

    /// For a message.
    pub fn names(&self) -> String {
        self.taken.join(", ")
    }
}

fn key(core: &Core, item: &str) -> Vec<u8> {
    core.layout.own(&format!("claims/{item}"))
}
