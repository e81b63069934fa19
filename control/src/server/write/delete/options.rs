//! `metav1.DeleteOptions`, from the body or the query.

use keelson_api::status::Status;
use serde_json::Value;

use crate::server::accept::content_type;
use crate::server::call::Call;
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
    /// From the body, or from the query where there is no body.
    pub fn parse(call: &Call, bytes: &[u8]) -> Result<Self, Status> {
        let query = &call.query;
        let mut options = Self {
            grace: query.number("gracePeriodSeconds")?,
            propagation: propagation(query.get("propagationPolicy"))?,
            dry_run: query.dry_run()?,
            ..Self::default()
        };
        if query.has("orphanDependents") {
            options.orphan(query.flag("orphanDependents"))?;
        }
        if bytes.is_empty() {
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
        if !body["gracePeriodSeconds"].is_null() {
            options.grace = body["gracePeriodSeconds"].as_i64();
            if options.grace.is_none() {
                return Err(Status::bad_request("gracePeriodSeconds must be an integer"));
            }
        }
        if let Some(text) = body["propagationPolicy"].as_str() {
            options.propagation = propagation(text)?;
        }
        if let Some(orphan) = body["orphanDependents"].as_bool() {
            options.orphan(orphan)?;
        }
        let text = |field: &str| body["preconditions"][field].as_str().map(str::to_owned);
        options.uid = text("uid");
        options.revision = text("resourceVersion");
        if let Some(dry) = body["dryRun"].as_array() {
            if dry.iter().any(|value| value != "All") {
                return Err(Status::bad_request(
                    "dryRun: Unsupported value: supported values: \"All\"",
                ));
            }
            options.dry_run |= !dry.is_empty();
        }
        Ok(())
    }

    /// The deprecated form of the policy.
    fn orphan(&mut self, orphan: bool) -> Result<(), Status> {
        if self.propagation.is_some() {
            return Err(Status::bad_request(
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: orphanDependents and \
                 deletionPropagation cannot be both set",
            ));
        }
        self.cascade_asked = !orphan;
        self.propagation = Some(if orphan {
            Propagation::Orphan
        } else {
            Propagation::Background
        });
        Ok(())
    }
}

fn propagation(text: &str) -> Result<Option<Propagation>, Status> {
    match text {
        "" => Ok(None),
        "Background" => Ok(Some(Propagation::Background)),
        "Foreground" => Ok(Some(Propagation::Foreground)),
        "Orphan" => Ok(Some(Propagation::Orphan)),
        other => Err(Status::failure(
            422,
            "Invalid",
            format!(
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: {other:?}: supported values: \
                 \"Foreground\", \"Background\", \"Orphan\", nil"
            ),
            None,
        )),
    }
}
