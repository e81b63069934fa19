//! Field errors in upstream's words (`field.Error`).

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde_json::Value;

use super::{go_quote, start, start_of};

/// Kind of a field error (`field.ErrorType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldError {
    /// Kind.
    pub kind: FieldErrorKind,
    /// Path, e.g. `spec.containers[0].name`.
    pub field: String,
    /// The full message without the path, in upstream's words, e.g. `Required value: must be set`.
    pub message: String,
    /// Whether validation ended here before it had looked at everything, so that more may be wrong than is told. It is not
    /// shown.
    pub unfinished: bool,
}

impl FieldError {
    fn new(kind: FieldErrorKind, field: impl Display, value: Option<&Value>, detail: &str) -> Self {
        Self::shown(kind, field, value.map(shown).as_deref(), detail)
    }

    /// With the value in words.
    fn shown(kind: FieldErrorKind, field: impl Display, shown: Option<&str>, detail: &str) -> Self {
        let mut message = kind.title().to_owned();
        if let Some(shown) = shown {
            message.push_str(": ");
            message.push_str(shown);
        }
        if !detail.is_empty() {
            message.push_str(": ");
            message.push_str(&start(detail));
        }
        let field = start(&field.to_string()).into_owned();
        Self {
            kind,
            field,
            message,
            unfinished: false,
        }
    }

    /// As the last error that was looked for.
    #[must_use]
    pub fn unfinished(self) -> Self {
        let unfinished = true;
        Self { unfinished, ..self }
    }

    /// A value is missing. `detail` may be empty.
    pub fn required(field: impl Display, detail: &str) -> Self {
        Self::new(FieldErrorKind::Required, field, None, detail)
    }

    /// A value is wrong; `detail` says what it should be.
    pub fn invalid(field: impl Display, value: impl Into<Value>, detail: &str) -> Self {
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
    /// `detail` may be empty.
    pub fn invalid_shown(field: impl Display, shown: &str, detail: &str) -> Self {
        Self::shown(FieldErrorKind::Invalid, field, Some(&start(shown)), detail)
    }

    /// As [`FieldError::invalid`], without showing the value.
    pub fn invalid_omitted(field: impl Display, detail: &str) -> Self {
        Self::shown(FieldErrorKind::Invalid, field, None, detail)
    }

    /// A value of the wrong type.
    pub fn type_invalid(field: impl Display, value: impl Into<Value>, detail: &str) -> Self {
        Self::new(FieldErrorKind::TypeInvalid, field, Some(&value.into()), detail)
    }

    /// A value outside of an enumeration; lists `supported` in the given order.
    pub fn not_supported(field: impl Display, value: impl Into<Value>, supported: &[&str]) -> Self {
        Self::new(
            FieldErrorKind::NotSupported,
            field,
            Some(&value.into()),
            &one_of(supported),
        )
    }

    /// As [`FieldError::not_supported`], with the value already put in words.
    pub fn not_supported_shown(field: impl Display, shown: &str, supported: &[&str]) -> Self {
        Self::shown(
            FieldErrorKind::NotSupported,
            field,
            Some(shown),
            &one_of(supported),
        )
    }

    /// A value that must be unique appears again.
    pub fn duplicate(field: impl Display, value: impl Into<Value>) -> Self {
        Self::new(FieldErrorKind::Duplicate, field, Some(&value.into()), "")
    }

    /// As [`FieldError::duplicate`], with the value already put in words. `detail` may be empty.
    pub fn duplicate_shown(field: impl Display, shown: &str, detail: &str) -> Self {
        Self::shown(FieldErrorKind::Duplicate, field, Some(&start(shown)), detail)
    }

    /// Setting or changing the field is not allowed here.
    pub fn forbidden(field: impl Display, detail: &str) -> Self {
        Self::new(FieldErrorKind::Forbidden, field, None, detail)
    }

    /// A text longer than `max` bytes.
    pub fn too_long(field: impl Display, max: usize) -> Self {
        let detail = format!("may not be more than {max} bytes");
        Self::new(FieldErrorKind::TooLong, field, None, &detail)
    }

    /// A list of `actual` items where at most `max` are allowed.
    pub fn too_many(field: impl Display, actual: usize, max: usize) -> Self {
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
    pub fn not_found(field: impl Display, value: impl Into<Value>) -> Self {
        Self::new(FieldErrorKind::NotFound, field, Some(&value.into()), "")
    }

    /// A fault of the server met while validating the field.
    pub fn internal(field: impl Display, detail: &str) -> Self {
        Self::new(FieldErrorKind::Internal, field, None, detail)
    }
}

impl Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// The choices there are.
fn one_of(supported: &[&str]) -> String {
    let quoted: Vec<String> = supported.iter().map(|text| go_quote(text)).collect();
    match quoted[..] {
        [] => String::new(),
        _ => format!("supported values: {}", quoted.join(", ")),
    }
}

/// Text quoted; numbers and booleans bare; null as a quoted word; anything else as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "\"null\"".to_owned(),
        Value::String(text) => {
            let quoted = go_quote(&start(text));
            match start(&quoted) {
                Cow::Borrowed(_) => quoted,
                Cow::Owned(cut) => cut + "\"",
            }
        }
        other => start_of(other),
    }
}
