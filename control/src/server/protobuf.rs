//! Objects as protobuf: from their stored JSON, never through a decoded value.
//!
//! A single object is encoded for its request. A watch event is encoded once, for all its watchers ([`super::recent`]). A list
//! must say how long it is before its first item, so small lists are made whole; of large ones the items' lengths are
//! kept beside the objects, and the items are encoded again while they are sent.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use http::{Response, StatusCode};
use keelson_api::protobuf::{EncodeError, MEDIA_TYPE, Message, encode, envelope, of_kind};
use keelson_api::status::Status;
use serde_json::Value;

use super::accept::Form;
use super::body::{self, Body};
use super::call::Call;
use super::convert;
use super::outgo::takes;
use super::registry::{KindRef, api_version};
use super::respond::view;
use crate::kinds::Kind;
use crate::object::Object;

/// Lists whose JSON takes no more than this are made whole.
const SMALL: usize = 64 << 10;
/// A chunk of a large list is about this large.
const CHUNK: usize = 64 << 10;

/// What objects of a kind become: that kind, or only their metadata.
#[derive(Debug, Clone)]
pub struct Target {
    api_version: String,
    kind: String,
    message: &'static Message,
    /// The objects' own kind.
    whole: bool,
}

impl Target {
    /// For a kind in a form; tables have no protobuf.
    pub fn new(kind: &Kind, form: Form) -> Result<Self, Status> {
        let (api_version, name) = match form {
            Form::Partial { beta: false } => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata"),
            Form::Partial { beta: true } => ("meta.k8s.io/v1beta1".to_owned(), "PartialObjectMetadata"),
            _ => (api_version(&kind.group, &kind.version), kind.kind.as_ref()),
        };
        let message = of_kind(&api_version, name)
            .ok_or_else(|| Status::not_acceptable(&["application/json", "application/yaml"]))?;
        Ok(Self {
            api_version,
            kind: name.to_owned(),
            message,
            whole: !matches!(form, Form::Partial { .. }),
        })
    }

    /// A whole body, from an object's JSON.
    pub fn body(&self, json: &[u8]) -> Result<Bytes, Status> {
        envelope::object(&self.api_version, &self.kind, self.message, json)
            .map(Bytes::from)
            .map_err(|error| failed(&error))
    }

    /// Whether it is the objects' own kind, and not only their metadata.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    fn item(&self, kind: &Kind, object: &Object, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(self.message, &view(kind, object), out)
    }

    /// How long an object is.
    fn length(&self, kind: &Kind, object: &Object, scratch: &mut Vec<u8>) -> Result<usize, EncodeError> {
        let mut measure = || {
            scratch.clear();
            self.item(kind, object, scratch)?;
            Ok(scratch.len())
        };
        if self.whole && convert::is_version(kind, object) {
            object.protobuf.of(object.bytes.len(), measure)
        } else {
            measure()
        }
    }
}

fn failed(error: &EncodeError) -> Status {
    Status::internal(&format!("the object cannot be written as protobuf: {error}"))
}

/// A document as protobuf; `None` if it is of no kind that has one.
pub fn document(value: &Value) -> Option<Vec<u8>> {
    let text = |field: &str| value[field].as_str();
    let (version, kind) = (text("apiVersion").unwrap_or("v1"), text("kind")?);
    // A Value always serializes, and is encoded as long as it is not nested as no document is.
    let json = serde_json::to_vec(value).ok()?;
    envelope::object(version, kind, of_kind(version, kind)?, &json).ok()
}

/// A list as the answer.
pub fn list(call: &Call, metadata: &Value, objects: Vec<Arc<Object>>) -> Result<Response<Body>, Status> {
    let (kind, target) = (call.kind(), Target::new(call.kind(), call.accept.form)?);
    let size = objects.iter().map(|object| object.bytes.len()).sum::<usize>();
    let start = head(&target, metadata)?;
    let largest = objects.iter().map(|object| object.bytes.len()).max();
    let held = 2 * largest.unwrap_or(0);
    let (body, length) = if size <= SMALL {
        small(kind, &target, start, &objects)
    } else {
        large(call.served.kind.clone(), target, &start, objects)
    }
    .map_err(|error| failed(&error))?;
    let mut response = body::with_type(StatusCode::OK, MEDIA_TYPE, body);
    // Besides a chunk it holds the largest object, in two forms.
    takes(&mut response, held);
    Ok(body::compress(response, length, call.accept.gzip && !call.local))
}

/// The list's metadata, its first field.
fn head(target: &Target, metadata: &Value) -> Result<Vec<u8>, Status> {
    let list = serde_json::json!({ "metadata": metadata });
    let json = serde_json::to_vec(&list).unwrap_or_default();
    let mut out = Vec::new();
    let message = of_kind(&target.api_version, &format!("{}List", target.kind))
        .ok_or_else(|| Status::internal("this kind has no list"))?;
    encode(message, &json, &mut out).map_err(|error| failed(&error))?;
    Ok(out)
}

fn small(
    kind: &Kind,
    target: &Target,
    start: Vec<u8>,
    objects: &[Arc<Object>],
) -> Result<(Body, usize), EncodeError> {
    let (mut raw, mut item) = (start, Vec::new());
    for object in objects {
        item.clear();
        target.item(kind, object, &mut item)?;
        raw.extend_from_slice(&envelope::item(item.len()));
        raw.extend_from_slice(&item);
    }
    let mut out = envelope::head(&target.api_version, &format!("{}List", target.kind), raw.len());
    out.reserve_exact(raw.len() + envelope::TAIL.len());
    out.extend_from_slice(&raw);
    out.extend_from_slice(envelope::TAIL);
    let length = out.len();
    Ok((body::full(out), length))
}

fn large(
    kind: KindRef,
    target: Target,
    start: &[u8],
    objects: Vec<Arc<Object>>,
) -> Result<(Body, usize), EncodeError> {
    let mut scratch = Vec::new();
    let mut raw = start.len();
    for object in &objects {
        raw += envelope::item_length(target.length(&kind, object, &mut scratch)?);
    }
    let mut chunk = envelope::head(&target.api_version, &format!("{}List", target.kind), raw);
    let length = chunk.len() + raw + envelope::TAIL.len();
    chunk.extend_from_slice(start);
    let mut objects = objects.into_iter();
    let mut done = false;
    let chunks = stream::iter(std::iter::from_fn(move || {
        while !done && chunk.len() < CHUNK {
            let Some(object) = objects.next() else {
                chunk.extend_from_slice(envelope::TAIL);
                done = true;
                break;
            };
            // It was encoded a moment ago, so it can be encoded; if not, the body ends early, which the client sees.
            scratch.clear();
            target.item(&kind, &object, &mut scratch).ok()?;
            chunk.extend_from_slice(&envelope::item(scratch.len()));
            chunk.extend_from_slice(&scratch);
        }
        let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK + (8 << 10)));
        (!full.is_empty()).then(|| Bytes::from(full))
    }));
    Ok((body::stream(chunks), length))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds;

    fn pod(revision: u64, name: &str) -> Object {
        let value = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"resourceVersion": revision.to_string(), "name": name}});
        Object::describe(&value, Bytes::from(value.to_string()))
    }

    fn kind(name: &str) -> &'static Kind {
        kinds::builtin()
            .iter()
            .find(|kind| kind.kind == name && kind.group.is_empty())
            .unwrap()
    }

    #[test]
    fn lengths_are_kept_until_the_object_changes() {
        let (target, mut scratch) = (Target::new(kind("Pod"), Form::Object).unwrap(), Vec::new());
        let mut object = pod(7, "a");
        let length = target.length(kind("Pod"), &object, &mut scratch).unwrap();
        let again = object.protobuf.of(object.bytes.len(), || Err(()));
        assert_eq!(again, Ok(length));
        object.bytes = pod(1000, "a").bytes;
        assert_eq!(
            target.length(kind("Pod"), &object, &mut scratch).unwrap(),
            length + 3
        );
    }
}
