//! `metav1.DeleteOptions`, from the body or the query.

use keelson_api::status::{FieldError, Status};
use serde_json::Value;

use crate::kinds::Kind;
use crate::server::accept::content_type;
use crate::server::call::Call;
use crate::server::options;
use crate::server::write::decode;

/// What happens to the dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They are collected later.
    Background,
    /// They go first.
    Foreground,
    /// They stay.
    Orphan,
}

/// What becomes of the dependents of an object of this kind if nobody says (`DefaultGarbageCollectionPolicy`); `None` where
/// dependents are not supported, whatever is said. The two that orphan are from before there was a garbage collector.
pub fn default_propagation(kind: &Kind) -> Option<Propagation> {
    match (kind.group.as_ref(), kind.kind.as_ref()) {
        ("batch", "Job") | ("", "ReplicationController") => Some(Propagation::Orphan),
        ("" | "events.k8s.io", "Event") => None,
        _ => Some(Propagation::Background),
    }
}

/// `metav1.DeleteOptions`.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Grace period in seconds.
    pub grace: Option<i64>,
    /// What happens to the dependents.
    pub propagation: Option<Propagation>,
    /// The object must have this UID.
    pub uid: Option<String>,
    /// The object must be of this resourceVersion.
    pub revision: Option<String>,
    /// Nothing is deleted.
    pub dry_run: bool,
    /// `orphanDependents: false` was asked for, which changes the answer's code.
    pub cascade_asked: bool,
}

impl Options {
    /// Upstream warns of the default that surprises.
    pub fn warnings(&self, kind: &Kind) -> Vec<String> {
        let surprises = kind.group == "batch" && kind.kind == "Job" && self.propagation.is_none();
        let text = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them \
                    or set propagationPolicy=Orphan to suppress this warning";
        surprises.then(|| text.to_owned()).into_iter().collect()
    }

    /// From the body, or from the query where there is no body.
    pub fn parse(call: &Call, bytes: &[u8]) -> Result<Self, Status> {
        let query = &call.query;
        let mut options = Self {
            dry_run: query.dry_run(),
            ..Self::default()
        };
        if bytes.is_empty() {
            options.grace = query.number("gracePeriodSeconds")?;
            let orphan = query
                .has("orphanDependents")
                .then(|| query.flag("orphanDependents"));
            let dry_run: Vec<&str> = query.all("dryRun").collect();
            options.check(query.all("propagationPolicy").next(), orphan, &dry_run)?;
            return Ok(options);
        }
        let body = decode::parse(&content_type(&call.headers), bytes, "v1", "DeleteOptions")?.value;
        options.read(&body)?;
        Ok(options)
    }

    /// From a DeleteOptions object, or null.
    pub fn of(body: &Value) -> Result<Self, Status> {
        let mut options = Self::default();
        if !body.is_null() {
            options.read(body)?;
        }
        Ok(options)
    }

    fn read(&mut self, body: &Value) -> Result<(), Status> {
        let options = self;
        let kind = body["kind"].as_str().unwrap_or("DeleteOptions");
        if kind != "DeleteOptions" || !body.is_object() {
            return Err(Status::bad_request(format!(
                "decoded object cannot be converted to DeleteOptions: {kind}"
            )));
        }
        well_typed(body)?;
        if !body["gracePeriodSeconds"].is_null() {
            options.grace = body["gracePeriodSeconds"].as_i64();
            if options.grace.is_none() {
                return Err(Status::bad_request("gracePeriodSeconds must be an integer"));
            }
        }
        let text = |field: &str| body["preconditions"][field].as_str().map(str::to_owned);
        options.uid = text("uid");
        options.revision = text("resourceVersion");
        let values = body["dryRun"].as_array().map_or(&[][..], Vec::as_slice);
        let dry_run: Vec<&str> = values
            .iter()
            .map(|value| value.as_str().unwrap_or_default())
            .collect();
        options.dry_run |= !dry_run.is_empty();
        let policy = body["propagationPolicy"].as_str();
        options.check(policy, body["orphanDependents"].as_bool(), &dry_run)
    }

    /// Takes what decides over the dependents, in today's form and in the deprecated one (`ValidateDeleteOptions`).
    fn check(&mut self, policy: Option<&str>, orphan: Option<bool>, dry_run: &[&str]) -> Result<(), Status> {
        let field = "propagationPolicy";
        let mut errors = Vec::new();
        if let (Some(_), Some(policy)) = (orphan, policy) {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            errors.push(FieldError::invalid(field, policy, detail));
        }
        match (policy, orphan) {
            (None, None) => {}
            (None, Some(orphan)) => {
                self.cascade_asked = !orphan;
                self.propagation = Some(if orphan {
                    Propagation::Orphan
                } else {
                    Propagation::Background
                });
            }
            (Some("Background"), _) => self.propagation = Some(Propagation::Background),
            (Some("Foreground"), _) => self.propagation = Some(Propagation::Foreground),
            (Some("Orphan"), _) => self.propagation = Some(Propagation::Orphan),
            (Some(policy), _) => {
                let known = ["Foreground", "Background", "Orphan", "nil"];
                errors.push(FieldError::not_supported(field, policy, &known));
            }
        }
        errors.extend(options::dry_run(dry_run));
        options::refuse("DeleteOptions", &errors)
    }
}

/// Refuses fields of other types, which would be read as if they were not there.
fn well_typed(body: &Value) -> Result<(), Status> {
    let is_text = |value: &Value| value.is_null() || value.is_string();
    let preconditions = &body["preconditions"];
    let right = [
        (
            "dryRun",
            "a list of texts",
            match &body["dryRun"] {
                Value::Array(values) => values.iter().all(is_text),
                other => other.is_null(),
            },
        ),
        ("propagationPolicy", "a text", is_text(&body["propagationPolicy"])),
        (
            "orphanDependents",
            "a boolean",
            body["orphanDependents"].is_null() || body["orphanDependents"].is_boolean(),
        ),
        (
            "preconditions",
            "an object of texts",
            preconditions.is_null()
                || preconditions.is_object()
                    && is_text(&preconditions["uid"])
                    && is_text(&preconditions["resourceVersion"]),
        ),
    ];
    match right.iter().find(|(.., right)| !right) {
        Some((field, wanted, _)) => Err(Status::bad_request(format!("{field} must be {wanted}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_option_is_invalid() {
        let refused = |body: &Value| {
            let status = Options::of(body).unwrap_err();
            assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
            let begin = "DeleteOptions.meta.k8s.io \"\" is invalid: ";
            status.message.strip_prefix(begin).unwrap().to_owned()
        };
        assert_eq!(
            refused(&json!({"propagationPolicy": "Some"})),
            "propagationPolicy: Unsupported value: \"Some\": supported values: \"Foreground\", \"Background\", \"Orphan\", \
             \"nil\""
        );
        assert_eq!(
            refused(&json!({"propagationPolicy": "Orphan", "orphanDependents": false})),
            "propagationPolicy: Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set"
        );
        assert_eq!(
            refused(&json!({"propagationPolicy": ""})),
            "propagationPolicy: Unsupported value: \"\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
        );
        assert_eq!(
            refused(&json!({"dryRun": ["All", "x"]})),
            "dryRun: Unsupported value: []string{\"All\", \"x\"}: supported values: \"All\""
        );
        let options = Options::of(&json!({"dryRun": ["All"], "orphanDependents": false})).unwrap();
        assert_eq!(options.propagation, Some(Propagation::Background));
        assert!(options.dry_run && options.cascade_asked);
    }

    /// A delete that is to be tried only, or under conditions, is not carried out because it says so in the wrong type.
    #[test]
    fn what_has_another_type_is_refused() {
        for body in [
            json!({"dryRun": "All"}),
            json!({"dryRun": [5]}),
            json!({"preconditions": "x"}),
            json!({"preconditions": {"uid": 5}}),
            json!({"propagationPolicy": 5}),
            json!({"orphanDependents": "true"}),
        ] {
            assert_eq!(Options::of(&body).unwrap_err().code, 400, "{body}");
        }
        let nothing = json!({"dryRun": null, "preconditions": {"uid": null}, "propagationPolicy": null});
        assert!(Options::of(&nothing).is_ok());
    }
}
