//! A strategy put together from functions, for kinds that need little.

use keelson_api::status::FieldError;
use serde_json::Value;

use super::{Strategy, update};

/// What a plain kind does. Start from [`Plain::new`] and override fields.
#[derive(Debug)]
pub(super) struct Plain {
    /// Cells of the row.
    pub(super) row: fn(&Value, i64) -> Vec<Value>,
    /// Fills defaults.
    pub(super) default: fn(&mut Value),
    /// Complaints about the object, on create and update alike.
    pub(super) validate: fn(&Value) -> Vec<FieldError>,
    /// Complaints about a new object only.
    pub(super) create: fn(&Value) -> Vec<FieldError>,
    /// Complaints about a change from one to the other.
    pub(super) change: fn(&Value, &Value) -> Vec<FieldError>,
    /// Complaints about a new status.
    pub(super) told: fn(&Value) -> Vec<FieldError>,
    /// Whether there is a status that only its subresource may write.
    pub(super) status: bool,
    /// Whether who writes the status may change the metadata with it.
    pub(super) labels_with_status: bool,
    /// The field whose changes the generation counts.
    pub(super) generation: Option<&'static str>,
}

impl Plain {
    /// A kind without defaults, validation, status or generation.
    pub(super) fn new(row: fn(&Value, i64) -> Vec<Value>) -> Self {
        Self {
            row,
            default: |_| (),
            validate: |_| Vec::new(),
            create: |_| Vec::new(),
            change: |_, _| Vec::new(),
            told: |_| Vec::new(),
            status: false,
            labels_with_status: true,
            generation: None,
        }
    }

    /// A kind with status and generation.
    pub(super) fn with_status(row: fn(&Value, i64) -> Vec<Value>) -> Self {
        Self {
            status: true,
            generation: Some("spec"),
            ..Self::new(row)
        }
    }
}

impl Strategy for Plain {
    fn default(&self, object: &mut Value) {
        (self.default)(object);
    }

    fn prepare_create(&self, object: &mut Value) {
        if self.status {
            update::clear_status(object);
        }
        if self.generation.is_some() {
            update::start_generation(object);
        }
        (self.default)(object);
    }

    fn prepare_update(&self, subresource: Option<&str>, old: &Value, new: &mut Value) {
        if self.status {
            update::without_generation(subresource, old, new);
        }
        if subresource == Some("status") && !self.labels_with_status {
            update::keep_metadata_of_status(old, new);
        } else if let Some(field) = self.generation {
            update::generation_of(field, old, new);
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = (self.create)(object);
        errors.extend((self.validate)(object));
        errors
    }

    fn validate_update(&self, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        if subresource == Some("status") {
            return (self.told)(new);
        }
        let mut errors = (self.validate)(new);
        errors.extend((self.change)(old, new));
        errors
    }

    fn row(&self, object: &Value, now: i64) -> Vec<Value> {
        (self.row)(object, now)
    }
}
