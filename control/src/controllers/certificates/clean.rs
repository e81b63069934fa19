//! Deletes requests that nobody waits for any more.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/certificates/cleaner`.

use serde_json::json;

use crate::controllers::api::{Api, Error, resources};
use crate::controllers::informer::Next;
use crate::controllers::model::{CertificateRequest, Time};

/// How long an answered request stays, in seconds.
const ANSWERED: i64 = 3600;
/// How long a request waits for an answer, in seconds.
const UNANSWERED: i64 = 24 * 3600;

/// Deletes a request whose time is over; `None` if it is not.
pub async fn look(api: &Api, request: &CertificateRequest, now: i64) -> Result<Option<Next>, Error> {
    if ends(request, now).is_none_or(|left| left > 0) {
        return Ok(None);
    }
    let options = json!({"preconditions": {"uid": request.metadata.uid}});
    api.delete(
        resources::signing_requests(),
        "",
        &request.metadata.name,
        &options,
    )
    .await?;
    Ok(Some(Next::Wait))
}

/// Seconds until it goes.
pub(super) fn ends(request: &CertificateRequest, now: i64) -> Option<i64> {
    let conditions = request.value["status"]["conditions"].as_array();
    let since = |kind: &str| {
        let condition = conditions.into_iter().flatten().find(|one| one["type"] == kind)?;
        let at = ["lastUpdateTime", "lastTransitionTime"]
            .iter()
            .find_map(|field| Time::parse(condition[*field].as_str()?))?;
        Some(at.0)
    };
    let created = request.metadata.created.0;
    let pending = !["Approved", "Denied", "Failed"]
        .iter()
        .any(|kind| request.is(kind));
    let end = if pending {
        created + UNANSWERED
    } else if request.is("Approved") && !request.is_issued() && !request.is("Failed") {
        // Approved and waiting for a signer of somebody else.
        since("Approved")? + UNANSWERED
    } else {
        ["Failed", "Denied", "Approved"]
            .iter()
            .find_map(|kind| since(kind))?
            + ANSWERED
    };
    Some(end - now)
}
