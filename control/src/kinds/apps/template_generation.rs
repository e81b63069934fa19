//! The generation of a DaemonSet's template: a field of upstream's own type, which apps/v1 tells as an annotation.
//!
//! Every answer has it, nobody can change it, and pods carry it as a label.

use std::num::IntErrorKind;

use keelson_api::status::go_quote;
use serde_json::Value;

use crate::kinds::json::object_or_new;

const ANNOTATION: &str = "deprecated.daemonset.template.generation";

/// What the annotation says; 0 for none.
pub(super) fn of(set: &Value) -> i64 {
    text(set).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Why the annotation cannot be read, in the words of Go's `strconv`.
pub(super) fn complaint(set: &Value) -> Option<String> {
    let text = text(set)?;
    let error = text.parse::<i64>().err()?;
    let why = match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    };
    Some(format!("strconv.ParseInt: parsing {}: {why}", go_quote(text)))
}

fn text(set: &Value) -> Option<&str> {
    set["metadata"]["annotations"][ANNOTATION].as_str()
}

/// Writes the annotation.
pub(super) fn set(set: &mut Value, generation: i64) {
    let metadata = set.as_object_mut().and_then(|set| object_or_new(set, "metadata"));
    if let Some(annotations) = metadata.and_then(|metadata| object_or_new(metadata, "annotations")) {
        annotations.insert(ANNOTATION.to_owned(), generation.to_string().into());
    }
}
