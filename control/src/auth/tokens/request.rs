//! What a `TokenRequest` asks for.

use keelson_api::status::{FieldError, Status};
use serde::Deserialize;
use serde_json::Value;

/// Shortest and longest life that may be asked for, and the one of a request that asks for none; seconds.
const MIN_LIFE: i64 = 600;
const MAX_LIFE: i64 = 1 << 32;
const DEFAULT_LIFE: i64 = 3600;

/// What a `TokenRequest` asks for, checked and with defaults.
#[derive(Debug)]
pub struct Spec {
    /// For whom.
    pub audiences: Vec<String>,
    /// For how long, in seconds.
    pub life: i64,
    /// Bound to what.
    pub bound: Option<BoundRef>,
}

/// A `BoundObjectReference`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BoundRef {
    /// Kind, e.g. `Pod`.
    pub kind: String,
    /// API version, `v1`.
    pub api_version: String,
    /// Name.
    pub name: String,
    /// UID, or empty for whichever has the name now.
    pub uid: String,
}

impl Spec {
    /// Reads the posted object. A field of the wrong type is 400, a life out of bounds 422.
    pub fn read(request: &Value, account: &str, issuer: &str) -> Result<Self, Status> {
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Wire {
            audiences: Option<Vec<String>>,
            expiration_seconds: Option<i64>,
            bound_object_ref: Option<BoundRef>,
        }
        let spec = request.get("spec").filter(|spec| !spec.is_null());
        let wire: Wire = match spec {
            Some(spec) => Wire::deserialize(spec)
                .map_err(|error| Status::bad_request(format!("TokenRequest spec: {error}")))?,
            None => Wire::default(),
        };
        let life = wire.expiration_seconds.unwrap_or(DEFAULT_LIFE);
        let wrong = |detail| {
            let error = FieldError::invalid("spec.expirationSeconds", life, detail);
            Err(Status::invalid(
                "authentication.k8s.io",
                "TokenRequest",
                account,
                &[error],
            ))
        };
        if life < MIN_LIFE {
            return wrong("may not specify a duration less than 10 minutes");
        }
        if life > MAX_LIFE {
            return wrong("may not specify a duration larger than 2^32 seconds");
        }
        let audiences = wire
            .audiences
            .filter(|all| !all.is_empty())
            .unwrap_or_else(|| vec![issuer.to_owned()]);
        Ok(Self {
            audiences,
            life,
            bound: wire.bound_object_ref,
        })
    }
}
