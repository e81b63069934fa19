//! What events must be: little in the core group, strict in `events.k8s.io` (`pkg/apis/core/validation/events.go`).

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::{Event, NEW};
use crate::kinds::json::{alike, int, is_unset, text};

/// Most bytes of action, reason and reporting instance.
const LONGEST: usize = 128;
/// Most bytes of the note.
const LONGEST_NOTE: usize = 1024;

impl Event {
    pub(super) fn check_create(&self, event: &Value) -> Vec<FieldError> {
        let mut errors = self.common(event);
        if self.fields.object != NEW.object {
            return errors;
        }
        let name = text(event, "/metadata/name");
        if !name.is_empty() {
            // Stricter than the rule of all names of events, and told besides it.
            errors.extend(FieldError::complaints(
                "metadata.name",
                name,
                names::dns1123_subdomain(name),
            ));
        }
        series(&mut errors, event);
        if is_unset(event.get("eventTime")) {
            errors.push(FieldError::required("eventTime", ""));
        }
        let kind = text(event, "/type");
        if !matches!(kind, "Normal" | "Warning") {
            let detail = format!("has invalid value: {kind}");
            errors.push(FieldError::invalid("type", "", &detail));
        }
        for (field, old) in [
            (self.fields.first, "firstTimestamp"),
            (self.fields.last, "lastTimestamp"),
            (self.fields.count, "count"),
            (self.fields.source, "source"),
        ] {
            let zero = event.get(field).and_then(Value::as_i64) == Some(0);
            if !is_unset(event.get(field)) && !zero {
                errors.push(FieldError::invalid(old, "", "needs to be unset"));
            }
        }
        errors
    }

    /// In the new form only the series changes, and labels and annotations.
    pub(super) fn check_update(&self, old: &Value, new: &Value) -> Vec<FieldError> {
        let mut errors = self.common(new);
        if self.fields.object != NEW.object {
            return errors;
        }
        if old.get("series") != new.get("series") {
            series(&mut errors, new);
        }
        for (field, shown) in [
            (self.fields.object, "involvedObject"),
            ("reason", "reason"),
            (self.fields.message, "message"),
            (self.fields.source, "source"),
            (self.fields.first, "firstTimestamp"),
            (self.fields.last, "lastTimestamp"),
            (self.fields.count, "count"),
            ("type", "type"),
            ("eventTime", "eventTime"),
            ("action", "action"),
            ("related", "related"),
            ("reportingController", "reportingController"),
            ("reportingInstance", "reportingInstance"),
        ] {
            let (was, is) = (old.get(field), new.get(field));
            if !alike(was, is) {
                let value = is.cloned().unwrap_or_default();
                errors.push(FieldError::invalid(shown, value, names::IMMUTABLE));
            }
        }
        errors
    }

    /// The object of an event of the old kind lives in the event's namespace; cluster-scoped ones have theirs in `default`.
    /// What has an event time is of the new kind, and says who reports what.
    fn common(&self, event: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let namespace = text(event, "/metadata/namespace");
        let of_object = self.object(event, "namespace");
        let of_old_kind = is_unset(event.get("eventTime"));
        let fits = match of_object {
            "" => namespace == "default" || (!of_old_kind && namespace == "kube-system"),
            other => !of_old_kind || other == namespace,
        };
        if !fits {
            let detail = "does not match event.namespace";
            errors.push(FieldError::invalid("involvedObject.namespace", of_object, detail));
        }
        if of_old_kind {
            return errors;
        }
        let controller = Self::at(event, self.fields.controller);
        if controller.is_empty() {
            errors.push(FieldError::required(self.fields.controller, ""));
        }
        errors.extend(FieldError::complaints(
            self.fields.controller,
            controller,
            names::qualified_name(controller),
        ));
        for field in ["reportingInstance", "action", "reason"] {
            let value = Self::at(event, field);
            if value.is_empty() {
                errors.push(FieldError::required(field, ""));
            }
            if value.len() > LONGEST {
                let detail = format!("can have at most {LONGEST} characters");
                errors.push(FieldError::invalid(field, "", &detail));
            }
        }
        if Self::at(event, self.fields.message).len() > LONGEST_NOTE {
            let detail = format!("can have at most {LONGEST_NOTE} characters");
            errors.push(FieldError::invalid("message", "", &detail));
        }
        errors
    }
}

fn series(errors: &mut Vec<FieldError>, event: &Value) {
    let Some(series) = event.get("series").filter(|series| series.is_object()) else {
        return;
    };
    if int(series, "/count").unwrap_or(0) < 2 {
        errors.push(FieldError::invalid("series.count", "", "should be at least 2"));
    }
    if text(series, "/lastObservedTime").is_empty() {
        errors.push(FieldError::required("series.lastObservedTime", ""));
    }
}
