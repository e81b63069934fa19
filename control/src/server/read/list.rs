//! LIST: a consistent snapshot, in pages, as objects, Table or bare metadata.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use keelson_api::status::Status;
use keelson_api::time;
use serde_json::{Map, Value, json};

use super::forms;
use super::fresh::too_large;
use super::items::Items;
use super::token::Token;
use crate::object::Object;
use crate::server::accept::{Encoding, Form};
use crate::server::body::{self, Body};
use crate::server::call::Call;
use crate::server::convert::is_version;
use crate::server::options;
use crate::server::protobuf;
use crate::server::query::no_number;
use crate::server::registry::api_version;
use crate::server::select::Selection;
use crate::store::{Page, Range, StoreError, key_of};

/// Which state of the store a list asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// The current one, which must not be older than this revision.
    NotOlder(u64),
    /// Exactly this one.
    Exact(u64),
}

/// The list that the query asks for, with its metadata.
pub struct Listed {
    /// The objects.
    pub page: Page,
    metadata: Map<String, Value>,
}

/// Serves the list.
pub fn list(call: &Call) -> Result<Response<Body>, Status> {
    options::list(&call.query)?;
    let selection = Selection::parse(call.kind(), &call.query)?;
    let listed = read(call, &selection)?;
    answer(call, listed)
}

/// Serves these objects as the whole list, which is of no state of the store.
pub fn unpaged(call: &Call, objects: Vec<Arc<Object>>) -> Result<Response<Body>, Status> {
    let page = Page {
        objects,
        revision: 0,
        remaining: 0,
    };
    let metadata = Map::new();
    answer(call, Listed { page, metadata })
}

fn resource_version(call: &Call, paged: bool) -> Result<At, Status> {
    let text = call.query.get("resourceVersion");
    let matching = call.query.get("resourceVersionMatch");
    let revision: u64 = match text {
        "" => 0,
        text => match text.parse() {
            Ok(revision) => revision,
            Err(error) => {
                return Err(Status::bad_request(format!(
                    "Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: {}",
                    no_number(&error)
                )));
            }
        },
    };
    Ok(match matching {
        "Exact" => At::Exact(revision),
        "" if paged && revision > 0 => At::Exact(revision),
        _ => At::NotOlder(revision),
    })
}

/// Reads the list.
pub fn read(call: &Call, selection: &Selection) -> Result<Listed, Status> {
    let limit = usize::try_from(call.query.number("limit")?.unwrap_or(0)).unwrap_or(0);
    let now = time::now();
    let token = match call.query.get("continue") {
        "" => None,
        text => Some(Token::parse(text)?),
    };
    let store = &call.api.store;
    let at = match &token {
        Some(_) if !matches!(call.query.get("resourceVersion"), "" | "0") => {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        Some(token) if token.is_expired(now) => return Err(expired(token)),
        Some(token) => u64::try_from(token.rv).ok(),
        None => match resource_version(call, limit > 0)? {
            At::Exact(revision) => Some(revision),
            At::NotOlder(revision) if revision > store.revision() => {
                return Err(too_large(revision, store.revision()));
            }
            At::NotOlder(_) => None,
        },
    };
    let matches = |object: &Object| selection.matches(object);
    let page = match selection.name() {
        // One name: no need to walk everything.
        Some(name)
            if at.is_none() && token.is_none() && (call.scope().is_some() || !call.kind().namespaced) =>
        {
            let revision = store.revision();
            let key = key_of(call.namespace(), name);
            let object = store.get(call.storage(), &key);
            if let (None, Some(error)) = (&object, store.unreadable(call.storage(), &key)) {
                return Err(call.store_error(name, &error));
            }
            Page {
                objects: object.into_iter().filter(|object| matches(object)).collect(),
                revision,
                remaining: 0,
            }
        }
        _ => {
            let range = Range {
                namespace: call.scope(),
                after: token.as_ref().map(|token| token.start.as_str()),
                limit,
                at,
                filter: (!selection.is_everything()).then_some(&matches),
            };
            store
                .range(call.storage(), &range)
                .map_err(|error| match (&token, &error) {
                    (Some(token), StoreError::Compacted(_)) => expired(token),
                    (_, StoreError::Future(current)) => too_large(at.unwrap_or(0), *current),
                    _ => call.store_error("", &error),
                })?
        }
    };
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".to_owned(), page.revision.to_string().into());
    if let (true, Some(last)) = (page.remaining > 0, page.objects.last()) {
        let start = key_of(&last.namespace, &last.name);
        let next = match &token {
            Some(token) if token.rv >= 0 => token.after(start),
            _ => Token::new(page.revision as i64, start, now),
        };
        metadata.insert("continue".to_owned(), next.text().into());
        if selection.is_everything() {
            metadata.insert("remainingItemCount".to_owned(), page.remaining.into());
        }
    }
    Ok(Listed { page, metadata })
}

/// 410 with a token that goes on in the current state (`storage/etcd3.handleCompactedErrorForPaging`).
fn expired(token: &Token) -> Status {
    let mut status = Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
         the continue parameter, or use the continue token in this response to retrieve the remainder of the results. \
         Continuing with the provided token results in an inconsistent list - objects that were created, modified, or \
         deleted between the time the first chunk was returned and now may show up in the list.",
    );
    status.metadata.next = Token::new(-1, token.start.clone(), 0).text();
    status
}

/// The list in the form that the client accepts.
pub fn answer(call: &Call, listed: Listed) -> Result<Response<Body>, Status> {
    let kind = call.kind();
    let Listed { page, metadata } = listed;
    Ok(match (call.accept.form, call.accept.encoding) {
        (Form::Object | Form::Partial { .. }, Encoding::Protobuf) => {
            return protobuf::list(call, &metadata.into(), page.objects);
        }
        // Others would all be there at once in their new form.
        (Form::Object, Encoding::Json) if page.objects.iter().all(|object| is_version(kind, object)) => {
            const END: &[u8] = b"]}\n";
            let mut head = serde_json::to_vec(&json!({
                "kind": format!("{}List", kind.kind),
                "apiVersion": api_version(&kind.group, &kind.version),
                "metadata": metadata,
            }))
            .unwrap_or_default();
            head.pop();
            head.extend_from_slice(b",\"items\":[");
            let items = Items::new(kind, &page.objects);
            let size = head.len() + items.len() + END.len();
            let pieces = std::iter::once(Bytes::from(head))
                .chain(items.pieces())
                .chain([Bytes::from_static(END)]);
            let response = body::with_type(StatusCode::OK, "application/json", body::chunks(pieces, size));
            body::compress(response, size, call.accept.gzip && !call.local)
        }
        _ => return forms::list(call, &metadata, page.objects),
    })
}
