//! Who asks, and whether they may (upstream: "Kubelet authentication/authorization").
//!
//! Members of `system:masters` may do everything. Anybody else, the API server too, is known by a client certificate of
//! the cluster or by a bearer token, which a TokenReview checks, and needs the verb on a subresource of this node, which
//! a SubjectAccessReview decides. That somebody may is remembered for a while, as upstream remembers it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, header};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::route::Route;

const MASTERS: &str = "system:masters";
/// How long an allowance is remembered (`authorization.webhook.cacheAuthorizedTTL`). A refusal is not.
const REMEMBERED: Duration = Duration::from_mins(5);
/// Most allowances that are remembered.
const MOST_REMEMBERED: usize = 1024;

/// An authenticated caller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub user: String,
    pub uid: Option<String>,
    pub groups: Vec<String>,
}

/// Why a request goes no further.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// 401.
    Unauthorized,
    /// 403, with the words that upstream answers.
    Forbidden(String),
    /// 500: the API server could not be asked.
    Failed(String),
}

impl Identity {
    /// Common name and organizations of a verified certificate.
    pub(super) fn from_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = certificate.subject();
        let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let organizations = subject.iter_organization();
        Some(Self {
            user,
            uid: None,
            groups: organizations
                .filter_map(|name| name.as_str().ok())
                .map(str::to_owned)
                .collect(),
        })
    }

    fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }
}

/// Subresources of the node of which one must be allowed: a fine-grained one where upstream has it, and the old one.
pub(super) fn subresources(route: &Route) -> &'static [&'static str] {
    match route {
        Route::Healthz => &["healthz", "proxy"],
        Route::Pods => &["pods", "proxy"],
        Route::StatsSummary => &["stats"],
        Route::Metrics | Route::ResourceMetrics => &["metrics"],
        Route::Logs(_) | Route::Exec(_) | Route::Attach(_) | Route::PortForward(_) | Route::Run(_) => {
            &["proxy"]
        }
    }
}

/// The verb of a method.
fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    }
}

/// The token of an `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Who may do what: identity, verb, subresource.
type Right = (Identity, &'static str, &'static str);

/// Asks the API server.
pub(super) struct Gate {
    client: kube::Client,
    node: String,
    /// When the API server allowed what.
    allowed: Mutex<HashMap<Right, Instant>>,
}

impl Gate {
    pub(super) fn new(client: kube::Client, node: String) -> Self {
        Self {
            client,
            node,
            allowed: Mutex::default(),
        }
    }

    /// Lets a request pass, or says why not.
    pub(super) async fn check(
        &self,
        certificate: Option<&Identity>,
        headers: &HeaderMap,
        method: &Method,
        route: &Route,
    ) -> Result<(), Denied> {
        let identity = match (certificate, bearer(headers)) {
            (Some(identity), _) => identity.clone(),
            (None, Some(token)) => self.review_token(token).await?,
            (None, None) => return Err(Denied::Unauthorized),
        };
        if identity.is_master() {
            return Ok(());
        }
        let mut last = "";
        for subresource in subresources(route) {
            if self.may(&identity, verb(method), subresource).await? {
                return Ok(());
            }
            last = subresource;
        }
        Err(Denied::Forbidden(format!(
            "Forbidden (user={}, verb={}, resource=nodes, subresource(s)=[{last}])",
            identity.user,
            verb(method)
        )))
    }

    async fn review_token(&self, token: &str) -> Result<Identity, Denied> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                ..TokenReviewSpec::default()
            },
            ..TokenReview::default()
        };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        let answer = api
            .create(&PostParams::default(), &review)
            .await
            .map_err(|error| failed(&error))?;
        let status = answer.status.unwrap_or_default();
        let user = status
            .user
            .filter(|_| status.authenticated == Some(true))
            .ok_or(Denied::Unauthorized)?;
        Ok(Identity {
            user: user.username.unwrap_or_default(),
            uid: user.uid,
            groups: user.groups.unwrap_or_default(),
        })
    }

    /// Whether the API server allows it, or has done so a short while ago.
    async fn may(
        &self,
        identity: &Identity,
        verb: &'static str,
        subresource: &'static str,
    ) -> Result<bool, Denied> {
        let right = (identity.clone(), verb, subresource);
        let fresh = |asked: &Instant| asked.elapsed() < REMEMBERED;
        let remembered = || self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered().get(&right).is_some_and(fresh) {
            return Ok(true);
        }
        let may = self.review_access(identity, verb, subresource).await?;
        if may {
            let mut allowed = remembered();
            if allowed.len() >= MOST_REMEMBERED {
                allowed.retain(|_, asked| fresh(asked));
            }
            if allowed.len() < MOST_REMEMBERED {
                allowed.insert(right, Instant::now());
            }
        }
        Ok(may)
    }

    async fn review_access(
        &self,
        identity: &Identity,
        verb: &str,
        subresource: &str,
    ) -> Result<bool, Denied> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(identity.user.clone()),
                uid: identity.uid.clone(),
                groups: Some(identity.groups.clone()),
                resource_attributes: Some(ResourceAttributes {
                    verb: Some(verb.to_owned()),
                    version: Some("v1".to_owned()),
                    resource: Some("nodes".to_owned()),
                    subresource: Some(subresource.to_owned()),
                    name: Some(self.node.clone()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answer = api
            .create(&PostParams::default(), &review)
            .await
            .map_err(|error| failed(&error))?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}

fn failed(error: &kube::Error) -> Denied {
    Denied::Failed(format!("Authorization error: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(with("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(with("bearer  abc ").as_deref(), Some("abc"));
        for none in ["Basic abc", "Bearer", "Bearer ", "abc"] {
            assert_eq!(with(none), None);
        }
    }

    #[test]
    fn garbage_is_nobody() {
        assert_eq!(Identity::from_certificate(b"garbage"), None);
    }
}
