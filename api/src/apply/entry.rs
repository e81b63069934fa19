//! `metadata.managedFields`: who manages which fields.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::fields::FieldsError;
use super::set::Set;
use crate::status::{go_quote, start};
use crate::time;

/// How a manager came to its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By saying what they shall be.
    Apply,
    /// By changing them.
    Update,
}

impl Operation {
    fn text(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// One manager and its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub manager: String,
    /// How it came to the fields.
    pub operation: Operation,
    /// The version in which the fields are named.
    pub version: String,
    /// When the fields last changed.
    pub time: Option<String>,
    /// The subresource through which it came to them.
    pub subresource: String,
    /// The fields.
    pub fields: Set,
}

/// Why `managedFields` make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Neither `Apply` nor `Update`.
    #[error("operation must be `Apply` or `Update`")]
    Operation,
    /// No version.
    #[error("apiVersion must not be empty")]
    Version,
    /// Another notation than `FieldsV1`.
    #[error("invalid fieldsType {0:?} in managed fields entry {1}")]
    Type(String, usize),
    /// Not even one named.
    #[error("missing fieldsType in managed fields entry {0}")]
    NoType(usize),
    /// The fields.
    #[error("error decoding fields in managed fields entry {1}: {0}")]
    Fields(#[source] FieldsError, usize),
}

impl Entry {
    /// Whether two entries are of the same manager, so that there may be only one of them. An applier is one, whatever
    /// version it names its fields in.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.version == other.version)
    }

    /// The manager as messages name it.
    pub(super) fn describe(&self) -> String {
        let mut text = go_quote(&start(&self.manager));
        if !self.subresource.is_empty() {
            text = format!("{text} with subresource {}", go_quote(&self.subresource));
        }
        if self.operation == Operation::Update {
            text = format!("{text} using {}", self.version);
        }
        text
    }
}

/// Reads `managedFields`; see [`Set::from_json`] for `foreign`.
pub fn decode(value: &Value, foreign: bool) -> Result<Vec<Entry>, DecodeError> {
    let mut entries: Vec<Entry> = Vec::new();
    for (at, value) in value.as_array().into_iter().flatten().enumerate() {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let operation = match value["operation"].as_str() {
            Some("Apply") => Operation::Apply,
            Some("Update") => Operation::Update,
            _ => return Err(DecodeError::Operation),
        };
        let version = text("apiVersion");
        if version.is_empty() {
            return Err(DecodeError::Version);
        }
        match text("fieldsType").as_str() {
            "FieldsV1" => {}
            "" => return Err(DecodeError::NoType(at)),
            other => return Err(DecodeError::Type(other.to_owned(), at)),
        }
        let fields = match &value["fieldsV1"] {
            Value::Null => Set::default(),
            fields => Set::from_json(fields, foreign).map_err(|error| DecodeError::Fields(error, at))?,
        };
        let entry = Entry {
            manager: text("manager"),
            operation,
            version,
            time: value["time"].as_str().map(str::to_owned),
            subresource: text("subresource"),
            fields,
        };
        match entries.iter_mut().find(|other| other.is(&entry)) {
            Some(other) => *other = entry,
            None => entries.push(entry),
        }
    }
    Ok(entries)
}

/// Writes `managedFields`, in upstream's order.
pub fn encode(mut entries: Vec<Entry>) -> Value {
    let keyed = |entry: &Entry| seconds(entry.time.as_deref());
    entries.sort_by(|a, b| {
        a.operation
            .cmp(&b.operation)
            .then_with(|| keyed(a).cmp(&keyed(b)))
            .then_with(|| a.manager.cmp(&b.manager))
            .then_with(|| a.version.cmp(&b.version))
            .then_with(|| a.subresource.cmp(&b.subresource))
    });
    let write = |entry: Entry| {
        let mut value = json!({
            "manager": entry.manager, "operation": entry.operation.text(), "apiVersion": entry.version,
            "fieldsType": "FieldsV1",
        });
        value["fieldsV1"] = entry.fields.into_json();
        if let Some(time) = entry.time {
            value["time"] = time.into();
        }
        if !entry.subresource.is_empty() {
            value["subresource"] = entry.subresource.into();
        }
        value
    };
    Value::Array(entries.into_iter().map(write).collect())
}

/// Unix seconds, 0 where there are none.
pub(super) fn seconds(time: Option<&str>) -> i64 {
    time.and_then(time::parse).unwrap_or(0)
}

/// Whether a client asks to forget all managers: an empty list, or one with one empty entry.
pub fn is_reset(value: &Value) -> bool {
    match value.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([Value::Object(entry)]) => entry.is_empty(),
        _ => false,
    }
}

/// Whether two lists say the same but for their times.
pub fn same_but_times(old: &Value, new: &Value) -> bool {
    let (Some(old), Some(new)) = (old.as_array(), new.as_array()) else {
        return old.is_null() && new.is_null();
    };
    let fields = ["manager", "operation", "apiVersion", "subresource", "fieldsV1"];
    old.len() == new.len()
        && old
            .iter()
            .zip(new)
            .all(|(old, new)| fields.iter().all(|field| old.get(field) == new.get(field)))
}

/// The order in which updaters are forgotten: the oldest first.
pub(super) fn age(a: &Entry, b: &Entry) -> Ordering {
    seconds(a.time.as_deref())
        .cmp(&seconds(b.time.as_deref()))
        .then_with(|| identifier(a).cmp(&identifier(b)))
}

/// What breaks ties: upstream compares JSON that begins with these.
fn identifier(entry: &Entry) -> (&str, &str, &str) {
    (&entry.manager, &entry.version, &entry.subresource)
}
