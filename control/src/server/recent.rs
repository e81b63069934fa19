//! What the latest watch events have become, so that each is made once and is there once, however many watch.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use keelson_api::status::Status;

use super::protobuf::Target;
use super::respond::view;
use crate::kinds::Kind;
use crate::object::Object;

/// What is kept of small bodies at most, in bytes.
const KEPT: usize = 1 << 20;
/// Larger bodies are kept only while somebody uses them.
const SMALL: usize = 64 << 10;
/// From so many large bodies on, those that nobody uses are looked for.
const FEW: usize = 2;

/// What an object becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Protobuf: itself, or its metadata.
    Protobuf {
        /// Itself.
        whole: bool,
    },
    /// Another version than the stored one.
    Other,
    /// Its metadata.
    Partial {
        /// In the old version.
        beta: bool,
    },
    /// A table with the object in it.
    Table {
        /// In the old version.
        beta: bool,
        /// With the columns' definitions.
        columns: bool,
    },
    /// Its last state in a selection, at the revision at which it left it.
    Left,
    /// What is small, or a watch's own.
    Own,
}

/// Of which kind, in which shape, at which revision, and of which UID, for what expires together is deleted at one revision.
type Key = (Of, Shape, u64, String);

/// A kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Of {
    /// Of the table, by its place in it.
    Builtin(usize),
    /// A custom one, whose place in memory another may take: by its definition's stamp and its version.
    Custom(String, String),
}

/// The bodies.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    bodies: HashMap<Key, Bytes>,
    order: VecDeque<Key>,
    bytes: usize,
    large: HashMap<Key, Bytes>,
}

impl Recent {
    /// An object as it was stored at its revision, as protobuf.
    pub fn body(&self, kind: &Kind, target: &Target, object: &Object) -> Result<Bytes, Status> {
        let whole = target.is_whole();
        let make = || target.body(&view(kind, object));
        self.made(key(kind, Shape::Protobuf { whole }, object), object, make)
    }

    /// An object as it was stored at its revision, as JSON in another shape. What is small is made for each.
    pub fn json(&self, kind: &Kind, shape: Shape, object: &Object, make: impl FnOnce() -> Bytes) -> Bytes {
        if shape == Shape::Own || object.bytes.len() <= SMALL {
            return make();
        }
        let made: Result<Bytes, Infallible> = self.made(key(kind, shape, object), object, || Ok(make()));
        match made {
            Ok(bytes) => bytes,
            Err(never) => match never {},
        }
    }

    fn made<E>(
        &self,
        key: Key,
        object: &Object,
        make: impl FnOnce() -> Result<Bytes, E>,
    ) -> Result<Bytes, E> {
        // Held while it is made, which takes micro- or milliseconds: others who come now want the same body.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(body) = kept.bodies.get(&key).or_else(|| kept.large.get(&key)) {
            return Ok(body.clone());
        }
        let body = make()?;
        if object.bytes.len() > SMALL {
            if kept.large.len() >= FEW {
                kept.large.retain(|_, body| !body.is_unique());
            }
            kept.large.insert(key, body.clone());
            return Ok(body);
        }
        kept.bytes += body.len();
        kept.order.push_back(key.clone());
        kept.bodies.insert(key, body.clone());
        while kept.bytes > KEPT {
            let Some(oldest) = kept.order.pop_front() else {
                break;
            };
            if let Some(body) = kept.bodies.remove(&oldest) {
                kept.bytes -= body.len();
            }
        }
        Ok(body)
    }
}

fn key(kind: &Kind, shape: Shape, object: &Object) -> Key {
    let of = match &kind.custom {
        None => Of::Builtin(std::ptr::from_ref(kind) as usize),
        Some(custom) => Of::Custom(custom.stamp().to_owned(), kind.version.to_string()),
    };
    (of, shape, object.resource_version, object.uid.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::accept::Form;
    use super::*;
    use crate::kinds;

    fn pod(revision: u64, name: &str) -> Object {
        let value = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"resourceVersion": revision.to_string(), "name": name}});
        Object::describe(&value, Bytes::from(value.to_string()))
    }

    fn kind(name: &str) -> &'static Kind {
        let mut kinds = kinds::builtin().iter();
        kinds
            .find(|kind| kind.kind == name && kind.group.is_empty())
            .unwrap()
    }

    #[test]
    fn a_watch_event_is_encoded_once_for_all() {
        let recent = Recent::default();
        let whole = Target::new(kind("Pod"), Form::Object).unwrap();
        let partial = Target::new(kind("Pod"), Form::Partial { beta: false }).unwrap();
        let body = |target: &Target, object: &Object| recent.body(kind("Pod"), target, object).unwrap();
        let one = body(&whole, &pod(7, "a"));
        assert_eq!(one.as_ptr(), body(&whole, &pod(7, "a")).as_ptr());
        assert_ne!(one, body(&whole, &pod(8, "a")));
        assert_ne!(one, body(&partial, &pod(7, "a")));
        let mut twin = pod(7, "b");
        twin.uid = "another".to_owned();
        assert_ne!(one, body(&whole, &twin), "deleted at the same revision");
        // What it keeps is bounded.
        let long = "x".repeat(SMALL / 2);
        for revision in 10..100 {
            body(&whole, &pod(revision, &long));
        }
        let kept = recent.0.lock().unwrap();
        assert!(
            kept.bytes <= KEPT && kept.bodies.len() == kept.order.len(),
            "{kept:?}"
        );
        assert_eq!(kept.bytes, kept.bodies.values().map(Bytes::len).sum::<usize>());
    }

    #[test]
    fn large_bodies_are_there_once_while_they_are_used() {
        let recent = Recent::default();
        let text = "x".repeat(2 * SMALL);
        let made = |revision: u64, shape: Shape| {
            let object = pod(revision, &text);
            recent.json(kind("Pod"), shape, &object, || {
                object.bytes.clone().to_vec().into()
            })
        };
        let whole = Target::new(kind("Pod"), Form::Object).unwrap();
        let body = |revision: u64| recent.body(kind("Pod"), &whole, &pod(revision, &text)).unwrap();
        let used: Vec<Bytes> = (0..10)
            .flat_map(|revision| {
                [
                    made(revision, Shape::Other),
                    made(revision, Shape::Left),
                    body(revision),
                ]
            })
            .collect();
        for (revision, used) in used.chunks(3).enumerate() {
            let revision = revision as u64;
            assert_eq!(made(revision, Shape::Other).as_ptr(), used[0].as_ptr());
            assert_eq!(made(revision, Shape::Left).as_ptr(), used[1].as_ptr());
            assert_eq!(body(revision).as_ptr(), used[2].as_ptr());
        }
        assert_ne!(used[0].as_ptr(), used[1].as_ptr());
        drop(used);
        made(11, Shape::Other);
        assert!(recent.0.lock().unwrap().large.len() <= FEW);
    }
}
