//! WATCH: a cursor into the store's history.
//!
//! A watcher has no queue. It reads on from its cursor whenever its client takes more and the resource has changed,
//! so a slow client costs nothing; one that falls behind the history gets `410 Expired` and lists again, as does one
//! that asks for a revision that is gone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use keelson_api::protobuf::WATCH_MEDIA_TYPE;
use keelson_api::status::Status;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::bookmark;
use super::pieces::Pieces;
use crate::kinds::Kind;
use crate::object::Object;
use crate::server::accept::{Encoding, Form};
use crate::server::body::{self, Body};
use crate::server::call::Call;
use crate::server::options;
use crate::server::protobuf::{Target, document};
use crate::server::recent::Shape;
use crate::server::registry::{Registry, Served, api_version};
use crate::server::select::Selection;
use crate::server::table::{self, Include};
use crate::server::{Api, convert, respond};
use crate::store::{Event, Range, StoreError, splice};

/// Most events read from the history at once.
const BATCH: usize = 256;
/// A chunk sent to the client is about this large at most.
const CHUNK: usize = 64 << 10;
/// Shortest life of a watch that names none (upstream: 30 minutes, doubled at random to spread reconnections).
const LIFE: u64 = 1800;

/// One watch.
struct Watcher {
    api: Arc<Api>,
    served: Served,
    namespace: Option<String>,
    selection: Selection,
    form: Form,
    /// What events are made of, if they are protobuf.
    protobuf: Option<Target>,
    include: Include,
    /// Column definitions, sent with the first Table only.
    columns: Option<Value>,
    changed: watch::Receiver<u64>,
    kinds: watch::Receiver<Arc<Registry>>,
    /// Everything up to this revision has been sent.
    cursor: u64,
    initial: VecDeque<Arc<Object>>,
    /// The bookmark that ends the initial events is still to be sent.
    initial_end: bool,
    /// When the next one is due, if one is.
    bookmark: Option<Instant>,
    ends: Instant,
    /// How many events all watches of the kind have sent.
    sent: Arc<AtomicU64>,
    done: bool,
    /// What has been made and not been taken.
    out: Pieces,
}

/// Serves the watch.
pub fn watch(call: &Call) -> Result<Response<Body>, Status> {
    options::watch(&call.query)?;
    let mut selection = Selection::parse(call.kind(), &call.query)?;
    if !call.path.name.is_empty() {
        selection = selection.only(&call.path.name);
    }
    let start = Start::parse(call)?;
    let seconds = match call.query.number("timeoutSeconds")? {
        Some(seconds) if seconds > 0 => seconds as u64,
        _ => LIFE + u64::from(call.api.random_below(LIFE as u32)),
    };
    let store = &call.api.store;
    // Subscribe before reading, so that no change falls in between.
    let changed = store.subscribe(call.storage());
    let (cursor, initial) = match start {
        Start::After(revision) => (revision, VecDeque::new()),
        Start::Now => (store.revision(), VecDeque::new()),
        Start::Everything => {
            let matches = |object: &Object| selection.matches(object);
            let range = Range {
                filter: Some(&matches),
                ..Range::all(call.scope())
            };
            let page = store
                .range(call.storage(), &range)
                .map_err(|error| call.store_error("", &error))?;
            (page.revision, page.objects.into())
        }
    };
    let (protobuf, media) = match call.accept.encoding {
        Encoding::Protobuf => {
            let target = Target::new(call.kind(), call.accept.form)?;
            (Some(target), WATCH_MEDIA_TYPE)
        }
        _ => (None, "application/json"),
    };
    let now = Instant::now();
    let ends = now + Duration::from_secs(seconds.min(366 * 86_400));
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let watcher = Watcher {
        api: Arc::clone(&call.api),
        served: call.served.clone(),
        namespace: call.scope().map(str::to_owned),
        selection,
        form: call.accept.form,
        protobuf,
        include: table::include(&call.query),
        columns: Some(table::columns(call.kind())),
        changed,
        kinds: call.api.registry.subscribe(),
        cursor,
        initial,
        initial_end: bookmarks && call.query.flag("sendInitialEvents"),
        bookmark: bookmarks.then(|| bookmark::next(now, ends)).flatten(),
        ends,
        sent: call.api.metrics.events(call.kind()),
        done: false,
        out: Pieces::default(),
    };
    let pieces = futures::stream::unfold(watcher, |mut watcher| async move {
        let chunk = watcher.next().await?;
        Some((chunk, watcher))
    });
    Ok(body::with_type(StatusCode::OK, media, body::stream(pieces)))
}

/// Where a watch begins.
enum Start {
    /// With the current objects.
    Everything,
    /// With what happens from now on.
    Now,
    /// With what happened after a revision.
    After(u64),
}

impl Start {
    fn parse(call: &Call) -> Result<Self, Status> {
        let query = &call.query;
        let text = query.get("resourceVersion");
        let revision: u64 = if text.is_empty() {
            0
        } else {
            text.parse()
                .map_err(|_| Status::bad_request(format!("invalid resource version {text:?}")))?
        };
        if !query.has("sendInitialEvents") {
            return Ok(if revision == 0 {
                Self::Everything
            } else {
                Self::After(revision)
            });
        }
        Ok(match (query.flag("sendInitialEvents"), revision) {
            (true, _) => Self::Everything,
            (false, 0) => Self::Now,
            (false, revision) => Self::After(revision),
        })
    }
}

impl Watcher {
    fn kind(&self) -> &Kind {
        &self.served.kind
    }

    /// The next piece of the answer; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = std::mem::take(&mut self.out);
        'read: while out.is_empty() {
            if self.done {
                return None;
            }
            if !self.initial.is_empty() || self.initial_end {
                self.send_initial(&mut out);
                continue;
            }
            self.changed.borrow_and_update();
            match self.api.store.changes(&self.served.storage, self.cursor, BATCH) {
                Ok(changes) => {
                    let mut events = changes.events.iter().peekable();
                    while let Some(event) = events.next() {
                        self.event(&mut out, event);
                        // Events of one revision belong together: the cursor knows no place between them.
                        if events.peek().is_some_and(|next| next.revision == event.revision) {
                            continue;
                        }
                        self.cursor = event.revision;
                        if out.len() >= CHUNK {
                            break 'read;
                        }
                    }
                    self.cursor = changes.upto;
                    if changes.events.is_empty() {
                        self.wait(&mut out).await;
                    }
                }
                Err(error) => self.fail(&mut out, &error),
            }
        }
        let piece = out.pop();
        self.out = out;
        piece
    }

    /// Whether the definition of a custom kind has changed or gone: clients begin anew.
    fn is_outdated(&mut self) -> bool {
        let kind = self.served.kind.clone();
        let Some(custom) = &kind.custom else { return false };
        let registry = self.kinds.borrow_and_update();
        let now = registry.find(&kind.group, &kind.version, &kind.plural);
        now.and_then(|served| served.kind.custom.as_ref())
            .is_none_or(|now| now.stamp() != custom.stamp())
    }

    fn send_initial(&mut self, out: &mut Pieces) {
        while out.len() < CHUNK {
            let Some(object) = self.initial.pop_front() else {
                if std::mem::take(&mut self.initial_end) {
                    self.send_bookmark(out, true);
                }
                return;
            };
            self.frame(out, "ADDED", &object, true);
        }
    }

    /// Waits for a change, the next bookmark or the end.
    async fn wait(&mut self, out: &mut Pieces) {
        let bookmark = self.bookmark.unwrap_or(self.ends);
        tokio::select! {
            changed = self.changed.changed() => self.done = changed.is_err(),
            changed = self.kinds.changed() => self.done = changed.is_err() || self.is_outdated(),
            // A timer, because a bookmark must come although nothing happens: it keeps the client's revision fresh.
            () = tokio::time::sleep_until(bookmark.min(self.ends)) => {
                let now = Instant::now();
                if now >= self.ends {
                    self.done = true;
                } else if self.bookmark.is_some() {
                    self.bookmark = bookmark::next(now, self.ends);
                    self.send_bookmark(out, false);
                }
            }
            () = self.api.stopping() => self.done = true,
        }
    }

    /// What an event means to this watcher, if anything.
    fn event(&mut self, out: &mut Pieces, event: &Event) {
        let inside = |object: &Object| {
            self.namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == object.namespace)
                && self.selection.matches(object)
        };
        let before = event.previous.as_deref().is_some_and(inside);
        let after = !event.deleted && inside(&event.object);
        match (before, after) {
            (false, true) => self.frame(out, "ADDED", &event.object, true),
            (true, true) => self.frame(out, "MODIFIED", &event.object, true),
            (true, false) if event.deleted => self.frame(out, "DELETED", &event.object, true),
            (true, false) => {
                // Left the selection: its last selected state, at the revision of this change.
                let Some(previous) = &event.previous else { return };
                let mut last = Object::clone(previous);
                last.resource_version = event.revision;
                last.bytes = self.api.recent.json(self.kind(), Shape::Left, &last, || {
                    splice(&previous.bytes, event.revision).unwrap_or_else(|| previous.bytes.clone())
                });
                self.frame(out, "DELETED", &last, false);
            }
            (false, false) => {}
        }
    }

    /// `stored`: no other state of the object is of this revision, so that all watches have the same.
    fn frame(&mut self, out: &mut Pieces, event: &str, object: &Object, stored: bool) {
        let shape = |shape: Shape| if stored { shape } else { Shape::Own };
        self.sent.fetch_add(1, Ordering::Relaxed);
        if let Some(target) = &self.protobuf {
            let body = if stored {
                self.api.recent.body(self.kind(), target, object)
            } else {
                target.body(&respond::view(self.kind(), object))
            };
            self.protobuf_frame(out, event, body);
            return;
        }
        match self.form {
            Form::Object if convert::is_version(self.kind(), object) => out.json(event, &object.bytes),
            Form::Object => {
                let recent = &self.api.recent;
                let view = || respond::view(self.kind(), object);
                out.json(
                    event,
                    &recent.json(self.kind(), shape(Shape::Other), object, view),
                );
            }
            Form::Table { beta } => {
                let columns = self.columns.take();
                let shape = match self.include {
                    Include::Object => shape(Shape::Table {
                        beta,
                        columns: columns.is_some(),
                    }),
                    // Little is left of the object.
                    _ => Shape::Own,
                };
                let table = || {
                    let row = table::row(self.kind(), object, self.include, beta);
                    let metadata = json!({"resourceVersion": object.resource_version.to_string()});
                    let table = table::table(columns.unwrap_or(Value::Null), vec![row], metadata, beta);
                    // Values always serialize.
                    serde_json::to_vec(&table).unwrap_or_default().into()
                };
                out.json(event, &self.api.recent.json(self.kind(), shape, object, table));
            }
            Form::Partial { beta } => {
                let partial = || table::partial_json(&object.bytes, beta).into();
                let shape = shape(Shape::Partial { beta });
                out.json(event, &self.api.recent.json(self.kind(), shape, object, partial));
            }
        }
    }

    fn protobuf_frame(&mut self, out: &mut Pieces, event: &str, body: Result<Bytes, Status>) {
        match body {
            Ok(body) => out.protobuf(event, &body),
            Err(status) => self.end_with(out, &status),
        }
    }

    fn send_bookmark(&mut self, out: &mut Pieces, end: bool) {
        let mut metadata = json!({"resourceVersion": self.cursor.to_string(), "creationTimestamp": null});
        if end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        let kind = self.kind();
        let object = json!({
            "kind": kind.kind, "apiVersion": api_version(&kind.group, &kind.version), "metadata": metadata,
        });
        if let Some(target) = &self.protobuf {
            // A Value always serializes.
            let body = target.body(&serde_json::to_vec(&object).unwrap_or_default());
            self.protobuf_frame(out, "BOOKMARK", body);
            return;
        }
        match self.form {
            Form::Object => wrap_value(out, "BOOKMARK", &object),
            Form::Partial { beta } => wrap_value(out, "BOOKMARK", &table::partial(&object, beta)),
            Form::Table { beta } => {
                let columns = self.columns.take().unwrap_or(Value::Null);
                let row = json!({"cells": [], "object": table::partial(&object, beta)});
                wrap_value(out, "BOOKMARK", &table::table(columns, vec![row], metadata, beta));
            }
        }
    }

    fn fail(&mut self, out: &mut Pieces, error: &StoreError) {
        let status = match error {
            StoreError::Compacted(oldest) => {
                Status::expired(format!("too old resource version: {} ({oldest})", self.cursor))
            }
            error => Status::internal(&error.to_string()),
        };
        self.end_with(out, &status);
    }

    /// An error ends the watch.
    fn end_with(&mut self, out: &mut Pieces, status: &Status) {
        self.done = true;
        // A Status always serializes.
        let value = serde_json::to_value(status).unwrap_or_default();
        match self.protobuf.as_ref().and_then(|_| document(&value)) {
            Some(body) => out.protobuf("ERROR", &body.into()),
            None => wrap_value(out, "ERROR", &value),
        }
    }
}

fn wrap_value(out: &mut Pieces, event: &str, object: &Value) {
    // Values always serialize.
    out.json(event, &serde_json::to_vec(object).unwrap_or_default().into());
}
