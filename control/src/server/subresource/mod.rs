//! What hangs on an object (`status`, `scale`, `binding`, ...) and kinds that exist only in their answer (reviews).

mod binding;
mod budgets;
mod eviction;
mod scale;

use http::{Response, StatusCode};
use keelson_api::status::Status;

use super::body::Body;
use super::call::Call;
use super::options::Options;
use super::registry::api_version;
use super::write::{decode, patch, update};
use super::{read, respond};
use crate::auth::reviews;
use crate::kinds::Kind;

pub use budgets::Budgets;

/// Serves a subresource that is not a stream.
pub async fn serve(call: &Call, verb: &str, bytes: &[u8]) -> Result<Response<Body>, Status> {
    let subresource = call.path.subresource.as_str();
    let described = call
        .kind()
        .subresources
        .iter()
        .find(|one| one.name == subresource);
    if !described.is_some_and(|one| one.verbs.contains(&verb)) {
        return Err(Status::method_not_allowed());
    }
    match (call.kind().plural.as_ref(), subresource, verb) {
        (_, "scale", _) => scale::serve(call, verb, bytes).await,
        ("pods", "binding", "create") => binding::bind(call, bytes).await,
        ("pods", "eviction", "create") => eviction::evict(call, bytes).await,
        ("serviceaccounts", "token", "create") => token(call, bytes),
        (.., "get") => read::get(call),
        (.., "update") => update::update(call, Some(subresource), bytes).await,
        (.., "patch") => patch::patch(call, Some(subresource), bytes).await,
        _ => Err(Status::method_not_allowed()),
    }
}

fn token(call: &Call, bytes: &[u8]) -> Result<Response<Body>, Status> {
    Options::Create.check(&call.query)?;
    call.stored()?;
    let (mut request, warnings) = decode::other(call, bytes, "TokenRequest", "authentication.k8s.io/v1")?;
    call.api.chain.token(
        &call.user,
        call.kind(),
        call.namespace(),
        &call.path.name,
        &mut request,
    )?;
    let answer = call
        .api
        .authenticator
        .issue_token(call.namespace(), &call.path.name, &request)?;
    Ok(respond::plain(call, StatusCode::CREATED, &answer, &warnings))
}

/// Whether objects of this kind are never stored.
pub fn is_virtual(kind: &Kind) -> bool {
    kind.verbs == ["create"]
}

/// Answers the creation of a kind that is not stored.
pub async fn create_virtual(call: &Call, bytes: &[u8]) -> Result<Response<Body>, Status> {
    Options::Create.check(&call.query)?;
    let kind = call.kind();
    if kind.group.is_empty() && kind.plural == "bindings" {
        return binding::create(call, bytes).await;
    }
    let (review, warnings) =
        decode::other(call, bytes, &kind.kind, &api_version(&kind.group, &kind.version))?;
    let api = &call.api;
    let authorizer = &api.authorizer;
    let answer = match kind.kind.as_ref() {
        "TokenReview" => reviews::token_review(&api.authenticator, &review)?,
        "SubjectAccessReview" => reviews::subject_access_review(authorizer, &review)?,
        "LocalSubjectAccessReview" => {
            reviews::local_subject_access_review(authorizer, &call.path.namespace, &review)?
        }
        "SelfSubjectAccessReview" => reviews::self_subject_access_review(authorizer, &call.user, &review)?,
        "SelfSubjectRulesReview" => reviews::self_subject_rules_review(authorizer, &call.user, &review)?,
        "SelfSubjectReview" => reviews::self_subject_review(&call.user, &review),
        _ => return Err(Status::method_not_allowed()),
    };
    Ok(respond::plain(call, StatusCode::CREATED, &answer, &warnings))
}
