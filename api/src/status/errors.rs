//! Constructors of whole answers, with the texts, reasons and codes of `k8s.io/apimachinery/pkg/api/errors`.

use std::collections::HashSet;
use std::fmt::Write;

use super::{Cause, Details, Empty, FieldError, Outcome, Status, StatusKind, StatusVersion, go_quote};

/// Most errors that an answer tells of. A body can have as many as it has bytes, and each takes a hundred times as much.
pub const MOST_ERRORS: usize = 1000;

/// `deployments.apps`, or the bare name in the core group.
fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}

fn details(group: &str, kind: &str, name: &str) -> Details {
    Details {
        name: name.to_owned(),
        group: group.to_owned(),
        kind: kind.to_owned(),
        ..Details::default()
    }
}

impl Status {
    /// A failure with exactly these parts.
    pub fn failure(code: u16, reason: &str, message: impl Into<String>, details: Option<Details>) -> Self {
        Self {
            kind: StatusKind::Status,
            api_version: StatusVersion::V1,
            metadata: Empty::default(),
            status: Outcome::Failure,
            message: message.into(),
            reason: reason.to_owned(),
            details: details.map(Box::new),
            code,
        }
    }

    /// The success answer of requests that have no object to return, such as a delete.
    pub fn success(details: Option<Details>) -> Self {
        Self {
            status: Outcome::Success,
            code: 200,
            ..Self::failure(200, "", "", details)
        }
    }

    /// The answer to a finished delete: names what is gone.
    pub fn deleted(group: &str, resource: &str, name: &str, uid: &str) -> Self {
        let mut details = details(group, resource, name);
        uid.clone_into(&mut details.uid);
        Self {
            code: 0,
            ..Self::success(Some(details))
        }
    }

    /// 404: `deployments.apps "x" not found`.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} {} not found", qualified(resource, group), go_quote(name));
        Self::failure(404, "NotFound", message, Some(details(group, resource, name)))
    }

    /// 404 for a path under which nothing is served.
    pub fn no_such_resource() -> Self {
        let message = "the server could not find the requested resource";
        Self::failure(404, "NotFound", message, Some(Details::default()))
    }

    /// 409: `pods "x" already exists`.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} {} already exists", qualified(resource, group), go_quote(name));
        Self::failure(
            409,
            "AlreadyExists",
            message,
            Some(details(group, resource, name)),
        )
    }

    /// 409 after the server found no free name for a `generateName`.
    pub fn generate_name_conflict(group: &str, resource: &str, name: &str) -> Self {
        let message = format!(
            "{} {} already exists, the server was not able to generate a unique name for the object",
            qualified(resource, group),
            go_quote(name)
        );
        let mut about = details(group, resource, name);
        about.retry_after_seconds = Some(1);
        Self::failure(409, "AlreadyExists", message, Some(about))
    }

    /// 409: `Operation cannot be fulfilled on pods "x": why`.
    pub fn conflict_because(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {}: {why}",
            qualified(resource, group),
            go_quote(name)
        );
        Self::failure(409, "Conflict", message, Some(details(group, resource, name)))
    }

    /// 409 of optimistic concurrency: somebody else changed the object.
    pub fn conflict(group: &str, resource: &str, name: &str) -> Self {
        Self::conflict_because(
            group,
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 422: `Deployment.apps "x" is invalid: ...`, one cause per error.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let told = errors.len().min(MOST_ERRORS);
        let mut message = format!("{} {} is invalid", qualified(kind, group), go_quote(name));
        let texts = aggregate(errors[..told].iter().map(ToString::to_string));
        if !texts.is_empty() {
            message.push_str(": ");
            message.push_str(&texts);
        }
        if told < errors.len() {
            // Writing to a string cannot fail.
            let _ = write!(message, ", and {} more errors", errors.len() - told);
        }
        let mut about = details(group, kind, name);
        about.causes = errors[..told]
            .iter()
            .map(|error| Cause {
                reason: error.kind.reason().to_owned(),
                message: error.message.clone(),
                field: error.field.clone(),
            })
            .collect();
        Self::failure(422, "Invalid", message, Some(about))
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::failure(400, "BadRequest", message, None)
    }

    /// 403: `pods "x" is forbidden: why`; without name or resource shorter.
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = match (resource, name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{} is forbidden: {why}", qualified(resource, group)),
            _ => format!(
                "{} {} is forbidden: {why}",
                qualified(resource, group),
                go_quote(name)
            ),
        };
        Self::failure(403, "Forbidden", message, Some(details(group, resource, name)))
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::failure(401, "Unauthorized", "Unauthorized", None)
    }

    /// 405: what upstream's router answers where the path is served, but not this method of it.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::failure(405, "MethodNotAllowed", message, Some(Details::default()))
    }

    /// 406: the `Accept` header names nothing that the server can write.
    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message = format!(
            "only the following media types are accepted: {}",
            accepted.join(", ")
        );
        Self::failure(406, "NotAcceptable", message, None)
    }

    /// 415: the server cannot read this content type.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::failure(415, "UnsupportedMediaType", message, None)
    }

    /// 410: the resource version of a watch or a continued list is too old.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::failure(410, "Expired", message, None)
    }

    /// 410: what was asked for is gone.
    pub fn gone(message: impl Into<String>) -> Self {
        Self::failure(410, "Gone", message, None)
    }

    /// 413.
    pub fn too_large(message: &str) -> Self {
        let message = format!("Request entity too large: {message}");
        Self::failure(413, "RequestEntityTooLarge", message, None)
    }

    /// 504: the request did not finish in time; it may or may not have had its effect.
    pub fn timeout(message: &str, retry_after_seconds: u32) -> Self {
        let about = Details {
            retry_after_seconds: Some(retry_after_seconds),
            ..Details::default()
        };
        Self::failure(504, "Timeout", format!("Timeout: {message}"), Some(about))
    }

    /// 500 `ServerTimeout`: the operation could not be completed now, and had no effect.
    pub fn server_timeout(group: &str, resource: &str, operation: &str, retry_after_seconds: u32) -> Self {
        let message = format!(
            "The {operation} operation against {} could not be completed at this time, please try again.",
            qualified(resource, group)
        );
        let mut about = details(group, resource, operation);
        about.retry_after_seconds = Some(retry_after_seconds);
        Self::failure(500, "ServerTimeout", message, Some(about))
    }

    /// 429, with the time after which to come again.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        let about = Details {
            retry_after_seconds: Some(retry_after_seconds),
            ..Details::default()
        };
        Self::failure(429, "TooManyRequests", message, Some(about))
    }

    /// 500: `Internal error occurred: ...`.
    pub fn internal(message: &str) -> Self {
        let about = Details {
            causes: vec![Cause {
                message: message.to_owned(),
                ..Cause::default()
            }],
            ..Details::default()
        };
        Self::failure(
            500,
            "InternalError",
            format!("Internal error occurred: {message}"),
            Some(about),
        )
    }

    /// 503.
    pub fn service_unavailable(message: impl Into<String>) -> Self {
        Self::failure(503, "ServiceUnavailable", message, None)
    }
}

/// One message as it is, several as `[a, b]`, repetitions once (`utilerrors.Aggregate`).
pub(crate) fn aggregate(messages: impl IntoIterator<Item = String>) -> String {
    let mut seen = HashSet::new();
    let mut all: Vec<String> = Vec::new();
    for message in messages {
        if seen.insert(message.clone()) {
            all.push(message);
        }
    }
    match all.len() {
        0 => String::new(),
        1 => all.remove(0),
        _ => format!("[{}]", all.join(", ")),
    }
}
