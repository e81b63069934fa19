//! Field errors in upstream's words (`field.Error`).

use std::fmt::{self, Display, Write};

use serde_json::Value;

use super::go_quote;

/// Kind of a field error (`field.ErrorType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldErrorKind {
    /// `FieldValueRequired`, "Required value".
    Required,
    /// `FieldValueInvalid`, "Invalid value".
    Invalid,
    /// `FieldValueNotSupported`, "Unsupported value".
    NotSupported,
    /// `FieldValueForbidden`, "Forbidden".
    Forbidden,
    /// `FieldValueDuplicate`, "Duplicate value".
    Duplicate,
    /// `FieldValueTooLong`, "Too long".
    TooLong,
    /// `FieldValueTooMany`, "Too many".
    TooMany,
    /// `FieldValueTypeInvalid`, "Invalid value" of the wrong type.
    TypeInvalid,
    /// `FieldValueNotFound`, "Not found".
    NotFound,
    /// `InternalError`, "Internal error".
    Internal,
}

impl FieldErrorKind {
    /// The machine-readable cause.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotFound => "FieldValueNotFound",
            Self::Internal => "InternalError",
        }
    }

    /// The words with which the message begins.
    pub fn title(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::Duplicate => "Duplicate value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::NotFound => "Not found",
            Self::Internal => "Internal error",
        }
    }
}

/// One validation error of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Kind.
    pub kind: FieldErrorKind,
    /// Path, e.g. `spec.containers[0].name`.
    pub field: String,
    /// The full message without the path, in upstream's words, e.g. `Required value: must be set`.
    pub message: String,
}

impl FieldError {
    fn new(kind: FieldErrorKind, field: impl Into<String>, value: Option<&Value>, detail: &str) -> Self {
        let mut message = kind.title().to_owned();
        if let Some(value) = value {
            message.push_str(": ");
            push_value(&mut message, value);
        }
        if !detail.is_empty() {
            message.push_str(": ");
            message.push_str(detail);
        }
        Self {
            kind,
            field: field.into(),
            message,
        }
    }

    /// A value is missing. `detail` may be empty.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        Self::new(FieldErrorKind::Required, field, None, detail)
    }

    /// A value is wrong; `detail` says what it should be.
    pub fn invalid(field: impl Into<String>, value: impl Into<Value>, detail: &str) -> Self {
        Self::new(FieldErrorKind::Invalid, field, Some(&value.into()), detail)
    }

    /// The same value is wrong for each of `complaints`, as the rules of [`crate::names`] tell them.
    pub fn complaints(
        field: impl Display,
        value: impl Into<Value> + Clone,
        complaints: Vec<String>,
    ) -> impl Iterator<Item = Self> {
        complaints
            .into_iter()
            .map(move |complaint| Self::invalid(field.to_string(), value.clone(), &complaint))
    }

    /// As [`FieldError::invalid`], with the value already put in words (Go prints some types in its own syntax).
    pub fn invalid_shown(field: impl Into<String>, shown: &str, detail: &str) -> Self {
        Self {
            kind: FieldErrorKind::Invalid,
            field: field.into(),
            message: format!("{}: {shown}: {detail}", FieldErrorKind::Invalid.title()),
        }
    }

    /// As [`FieldError::invalid`], without showing the value.
    pub fn invalid_omitted(field: impl Into<String>, detail: &str) -> Self {
        Self {
            kind: FieldErrorKind::Invalid,
            field: field.into(),
            message: format!("{}: {detail}", FieldErrorKind::Invalid.title()),
        }
    }

    /// A value of the wrong type.
    pub fn type_invalid(field: impl Into<String>, value: impl Into<Value>, detail: &str) -> Self {
        Self::new(FieldErrorKind::TypeInvalid, field, Some(&value.into()), detail)
    }

    /// A value outside of an enumeration; lists `supported` in the given order.
    pub fn not_supported(field: impl Into<String>, value: impl Into<Value>, supported: &[&str]) -> Self {
        let mut detail = String::new();
        for (index, text) in supported.iter().enumerate() {
            detail.push_str(if index == 0 { "supported values: " } else { ", " });
            detail.push_str(&go_quote(text));
        }
        Self::new(FieldErrorKind::NotSupported, field, Some(&value.into()), &detail)
    }

    /// As [`FieldError::not_supported`], with the value already put in words.
    pub fn not_supported_shown(field: impl Into<String>, shown: &str, supported: &[&str]) -> Self {
        let quoted: Vec<String> = supported.iter().map(|text| go_quote(text)).collect();
        Self {
            kind: FieldErrorKind::NotSupported,
            field: field.into(),
            message: format!(
                "{}: {shown}: supported values: {}",
                FieldErrorKind::NotSupported.title(),
                quoted.join(", ")
            ),
        }
    }

    /// A value that must be unique appears again.
    pub fn duplicate(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(FieldErrorKind::Duplicate, field, Some(&value.into()), "")
    }

    /// As [`FieldError::duplicate`], with the value already put in words. `detail` may be empty.
    pub fn duplicate_shown(field: impl Into<String>, shown: &str, detail: &str) -> Self {
        let mut message = format!("{}: {shown}", FieldErrorKind::Duplicate.title());
        if !detail.is_empty() {
            message.push_str(": ");
            message.push_str(detail);
        }
        Self {
            kind: FieldErrorKind::Duplicate,
            field: field.into(),
            message,
        }
    }

    /// Setting or changing the field is not allowed here.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new(FieldErrorKind::Forbidden, field, None, detail)
    }

    /// A text longer than `max` bytes.
    pub fn too_long(field: impl Into<String>, max: usize) -> Self {
        let detail = format!("may not be more than {max} bytes");
        Self::new(FieldErrorKind::TooLong, field, None, &detail)
    }

    /// A list of `actual` items where at most `max` are allowed.
    pub fn too_many(field: impl Into<String>, actual: usize, max: usize) -> Self {
        let unit = if max == 1 { "item" } else { "items" };
        let detail = format!("must have at most {max} {unit}");
        Self::new(
            FieldErrorKind::TooMany,
            field,
            Some(&Value::from(actual)),
            &detail,
        )
    }

    /// A value refers to something that is not there.
    pub fn not_found(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(FieldErrorKind::NotFound, field, Some(&value.into()), "")
    }

    /// A fault of the server met while validating the field.
    pub fn internal(field: impl Into<String>, detail: &str) -> Self {
        Self::new(FieldErrorKind::Internal, field, None, detail)
    }
}

impl Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Text quoted; numbers and booleans bare; null as a quoted word; anything else as JSON.
fn push_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("\"null\""),
        Value::String(text) => out.push_str(&go_quote(text)),
        // Writing into a String cannot fail.
        other => drop(write!(out, "{other}")),
    }
}
