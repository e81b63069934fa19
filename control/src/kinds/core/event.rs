//! Events, in their core form and in that of events.k8s.io: one stored object, two spellings of its fields.

mod validate;

use std::collections::BTreeMap;

use keelson_api::status::FieldError;
use keelson_api::time;
use serde_json::Value;

use crate::kinds::describe::{self, ColumnDef, NAME};
use crate::kinds::json::{int, text};
use crate::kinds::{Kind, Strategy, cells};

const COLUMNS: &[ColumnDef] = &[
    (
        "Last Seen",
        "string",
        0,
        "The time at which the most recent occurrence of this event was recorded.",
    ),
    (
        "Type",
        "string",
        0,
        "Type of this event (Normal, Warning), new types could be added in the future",
    ),
    (
        "Reason",
        "string",
        0,
        "A short, machine understandable string that gives the reason for the transition.",
    ),
    ("Object", "string", 0, "The object that this event is about."),
    (
        "Subobject",
        "string",
        1,
        "If referring to a piece of an object, its field path.",
    ),
    ("Source", "string", 1, "The component reporting this event."),
    (
        "Message",
        "string",
        0,
        "A human-readable description of the status of this operation.",
    ),
    (
        "First Seen",
        "string",
        1,
        "The time at which the event was first recorded.",
    ),
    (
        "Count",
        "string",
        1,
        "The number of times this event has occurred.",
    ),
    (NAME.0, NAME.1, 1, NAME.3),
];

/// `v1`.
pub(super) fn core() -> Kind {
    describe::kind("v1", "Event", "events", COLUMNS, Event { fields: CORE })
        .short(&["ev"])
        .done()
}

/// `events.k8s.io/v1`.
pub(super) fn events() -> Kind {
    describe::kind(
        "events.k8s.io/v1",
        "Event",
        "events",
        COLUMNS,
        Event { fields: NEW },
    )
    .short(&["ev"])
    .stored_as("", "events")
    .done()
}

/// Names of the fields that the two forms spell differently.
#[derive(Debug, Clone, Copy)]
struct Fields {
    object: &'static str,
    source: &'static str,
    message: &'static str,
    first: &'static str,
    last: &'static str,
    count: &'static str,
    controller: &'static str,
    instance: &'static str,
}

const CORE: Fields = Fields {
    object: "involvedObject",
    source: "source",
    message: "message",
    first: "firstTimestamp",
    last: "lastTimestamp",
    count: "count",
    controller: "reportingComponent",
    instance: "reportingInstance",
};

const NEW: Fields = Fields {
    object: "regarding",
    source: "deprecatedSource",
    message: "note",
    first: "deprecatedFirstTimestamp",
    last: "deprecatedLastTimestamp",
    count: "deprecatedCount",
    controller: "reportingController",
    instance: "reportingInstance",
};

impl Fields {
    fn pairs(self, other: Self) -> [(&'static str, &'static str); 7] {
        [
            (self.object, other.object),
            (self.source, other.source),
            (self.message, other.message),
            (self.first, other.first),
            (self.last, other.last),
            (self.count, other.count),
            (self.controller, other.controller),
        ]
    }
}

/// Rewrites an event from one form to the other.
fn convert(event: &mut Value, from: Fields, to: Fields, version: &str) {
    let Some(map) = event.as_object_mut() else { return };
    for (old, new) in from.pairs(to) {
        if let Some(value) = map.remove(old) {
            map.insert(new.to_owned(), value);
        }
    }
    map.insert("apiVersion".to_owned(), Value::from(version));
}

/// What a selector of the new form calls a field.
fn alias(field: &str) -> &str {
    match field {
        "regarding.kind" => "involvedObject.kind",
        "regarding.namespace" => "involvedObject.namespace",
        "regarding.name" => "involvedObject.name",
        "regarding.uid" => "involvedObject.uid",
        "regarding.apiVersion" => "involvedObject.apiVersion",
        "regarding.resourceVersion" => "involvedObject.resourceVersion",
        "regarding.fieldPath" => "involvedObject.fieldPath",
        "reportingController" => "reportingComponent",
        other => other,
    }
}

const NEW_SELECTABLE: &[&str] = &[
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
    "reason",
    "reportingController",
    "type",
];

#[derive(Debug)]
struct Event {
    fields: Fields,
}

const SELECTABLE: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

impl Event {
    fn at<'a>(event: &'a Value, field: &str) -> &'a str {
        event.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    fn object<'a>(&self, event: &'a Value, field: &str) -> &'a str {
        event
            .get(self.fields.object)
            .map_or("", |object| Self::at(object, field))
    }
}

impl Strategy for Event {
    fn to_storage(&self, event: &mut Value) {
        convert(event, NEW, CORE, "v1");
    }

    fn from_storage(&self, event: &mut Value) {
        convert(event, CORE, NEW, "events.k8s.io/v1");
    }

    fn validate_create(&self, event: &Value) -> Vec<FieldError> {
        self.check_create(event)
    }

    fn validate_update(&self, _: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        self.check_update(old, new)
    }

    fn selectable_alias<'a>(&self, field: &'a str) -> &'a str {
        if self.fields.object == NEW.object {
            alias(field)
        } else {
            field
        }
    }

    fn selectable_fields(&self, event: &Value) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        for name in SELECTABLE {
            let value = match *name {
                "reason" | "type" => Self::at(event, name),
                "reportingComponent" => Self::at(event, self.fields.controller),
                "source" => {
                    let component = event
                        .get(self.fields.source)
                        .map_or("", |source| text(source, "/component"));
                    if component.is_empty() {
                        Self::at(event, self.fields.controller)
                    } else {
                        component
                    }
                }
                other => self.object(event, other.rsplit('.').next().unwrap_or_default()),
            };
            out.insert((*name).to_owned(), value.to_owned());
        }
        out
    }

    fn selectable_field_names(&self) -> &'static [&'static str] {
        if self.fields.object == NEW.object {
            NEW_SELECTABLE
        } else {
            SELECTABLE
        }
    }

    fn row(&self, event: &Value, now: i64) -> Vec<Value> {
        let fields = self.fields;
        let age = |field: &str| {
            event
                .get(field)
                .and_then(Value::as_str)
                .filter(|at| !at.is_empty())
        };
        let first = time::age(age(fields.first).or_else(|| age("eventTime")), now);
        let mut last = age(fields.last).map_or_else(|| first.clone(), |at| time::age(Some(at), now));
        let mut count = event
            .get(fields.count)
            .and_then(Value::as_i64)
            .filter(|count| *count != 0);
        if let Some(series) = event.get("series").filter(|series| series.is_object()) {
            last = time::age(series.get("lastObservedTime").and_then(Value::as_str), now);
            count = int(series, "/count");
        }
        let kind = self.object(event, "kind").to_lowercase();
        let name = self.object(event, "name");
        let target = if name.is_empty() {
            kind
        } else {
            format!("{kind}/{name}")
        };
        vec![
            Value::from(last),
            Value::from(Self::at(event, "type")),
            Value::from(Self::at(event, "reason")),
            Value::from(target),
            Value::from(self.object(event, "fieldPath")),
            Value::from(self.source(event)),
            Value::from(Self::at(event, fields.message).trim()),
            Value::from(first),
            Value::from(count.unwrap_or(1)),
            cells::name(event),
        ]
    }
}

impl Event {
    fn source(&self, event: &Value) -> String {
        let source = event.get(self.fields.source);
        let part = |field: &str| source.map_or("", |source| Self::at(source, field));
        let (mut component, mut host) = (part("component"), part("host"));
        if component.is_empty() {
            component = Self::at(event, self.fields.controller);
            host = Self::at(event, self.fields.instance);
        }
        if host.is_empty() {
            component.to_owned()
        } else {
            format!("{component}, {host}")
        }
    }
}
