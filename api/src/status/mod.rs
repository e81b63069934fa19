//! `metav1.Status`, the one form in which the API reports errors, and the field errors inside it.
//!
//! Source: Kubernetes API conventions, "Response Status Kind", and `k8s.io/apimachinery/pkg/util/validation/field`.
//! Here: the data. `errors` has the constructors of whole answers, `field` those of field errors, `go`
//! what they take from Go.

mod errors;
mod field;
mod go;
mod start;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use errors::MOST_ERRORS;
pub(crate) use errors::aggregate;
pub use field::{FieldError, FieldErrorKind};
pub use go::{go_json, go_plain, go_quote, json_type};
pub(crate) use start::{start, start_of};

/// An error (or success) answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Always `Status`. Left out by kubelets, where it ends a session.
    #[serde(default)]
    pub kind: StatusKind,
    /// Always `v1`; likewise.
    #[serde(default)]
    pub api_version: StatusVersion,
    /// Always empty, unless another server sent a `ListMeta`, which nobody needs.
    #[serde(default)]
    pub metadata: Empty,
    /// Whether the request succeeded.
    pub status: Outcome,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// For machines, e.g. `NotFound`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What it is about. Boxed: a `Status` travels in many `Result`s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<Details>>,
    /// HTTP status code; none in a success.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub code: u16,
}

// serde passes a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(code: &u16) -> bool {
    *code == 0
}

/// The kind of a [`Status`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StatusKind {
    /// The only one.
    #[default]
    Status,
}

/// The version of a [`Status`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StatusVersion {
    /// The only one.
    #[default]
    #[serde(rename = "v1")]
    V1,
}

/// `Success` or `Failure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The request did what it asked for.
    Success,
    /// It did not.
    Failure,
}

/// The metadata of a Status: empty, but for the token with which a list that expired can go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {
    /// Continue token.
    #[serde(default, rename = "continue", skip_serializing_if = "String::is_empty")]
    pub next: String,
}

/// What a Status is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// Object name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// API group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Resource (or kind, as upstream does it per error).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// UID.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Causes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Seconds after which to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

/// One cause.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Machine-readable, e.g. `FieldValueInvalid`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Field path, e.g. `spec.replicas`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}
