//! Service account tokens of pods: requested, kept, renewed at 80 % of their life.
//!
//! Source: `pkg/kubelet/token/token_manager.go`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount, ServiceAccountTokenProjection};
use kube::api::PostParams;
use kube::{Api, Client};

use super::Error;
use crate::spec::containers;

/// Upstream renews tokens at least daily.
const LONGEST: Duration = Duration::from_hours(24);
/// `expirationSeconds` where none is given.
const DEFAULT_SECONDS: i64 = 3600;

/// A token and when to ask for the next.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub text: String,
    pub renew_at: SystemTime,
}

/// The tokens of one pod by volume and path; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Arc<Mutex<HashMap<(String, String), Token>>>);

impl Tokens {
    /// A token that is good for a while yet.
    pub(super) async fn get(
        &self,
        client: &Client,
        pod: &Pod,
        volume: &str,
        wanted: &ServiceAccountTokenProjection,
    ) -> Result<Token, Error> {
        let key = (volume.to_owned(), wanted.path.clone());
        let kept = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        if let Some(token) = kept.filter(|token| token.renew_at > SystemTime::now()) {
            return Ok(token);
        }
        let token = request(client, pod, wanted).await?;
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, token.clone());
        Ok(token)
    }
}

async fn request(client: &Client, pod: &Pod, wanted: &ServiceAccountTokenProjection) -> Result<Token, Error> {
    let meta = &pod.metadata;
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let account = pod
        .spec
        .as_ref()
        .and_then(|s| s.service_account_name.as_deref())
        .unwrap_or("default");
    let seconds = wanted.expiration_seconds.unwrap_or(DEFAULT_SECONDS);
    let ask = TokenRequest {
        spec: TokenRequestSpec {
            audiences: wanted
                .audience
                .clone()
                .filter(|a| !a.is_empty())
                .into_iter()
                .collect(),
            expiration_seconds: Some(seconds),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Pod".into()),
                name: meta.name.clone(),
                uid: meta.uid.clone(),
            }),
        },
        ..TokenRequest::default()
    };
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let failed = |reason: String| Error::Content(format!("failed to fetch token: {reason}"));
    let answer = api
        .create_token_request(account, &PostParams::default(), &ask)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let status = answer
        .status
        .ok_or_else(|| failed("the answer has no status".into()))?;
    let now = SystemTime::now();
    let life = SystemTime::from(status.expiration_timestamp.0)
        .duration_since(now)
        .unwrap_or_default();
    Ok(Token {
        text: status.token,
        renew_at: now + (life * 4 / 5).min(LONGEST),
    })
}

/// The user that may read token files: that of all containers, if they agree on one.
pub(super) fn file_owner(pod: &Pod) -> Option<u32> {
    let spec = pod.spec.as_ref()?;
    let of_pod = spec.security_context.as_ref().and_then(|s| s.run_as_user);
    let mut users =
        containers(spec).map(|(_, c)| c.security_context.as_ref().and_then(|s| s.run_as_user).or(of_pod));
    let first = users.next()??;
    users
        .all(|user| user == Some(first))
        .then(|| u32::try_from(first).ok())
        .flatten()
}
