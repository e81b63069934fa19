//! Approves the client certificates of kubelets, if who asks may have that done: a new node's (the right to create
//! `certificatesigningrequests/nodeclient`) or its own renewal (`selfnodeclient`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::answer;
use super::rules::{KUBELET_CLIENT, kubelet_client};
use crate::controllers::api::{Api, Error};
use crate::controllers::model::CertificateRequest;
use crate::pki::SigningRequest;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// Approves a request, or leaves it to somebody else.
pub async fn look(api: &Api, request: &CertificateRequest) -> Result<(), Error> {
    let decided = request.is_issued() || request.is("Approved") || request.is("Denied");
    if decided || request.spec("signerName") != KUBELET_CLIENT {
        return Ok(());
    }
    let pem = STANDARD.decode(request.spec("request")).unwrap_or_default();
    let Ok(parsed) = SigningRequest::read(&pem) else {
        return Ok(());
    };
    if kubelet_client(&parsed.named, &request.usages()).is_err() {
        return Ok(());
    }
    let own = request.spec("username") == parsed.named.common_name;
    let ways = [
        (
            own,
            "selfnodeclient",
            "Auto approving self kubelet client certificate after SubjectAccessReview.",
        ),
        (
            true,
            "nodeclient",
            "Auto approving kubelet client certificate after SubjectAccessReview.",
        ),
    ];
    for (_, subresource, message) in ways.into_iter().filter(|(applies, ..)| *applies) {
        if may(api, request, subresource).await? {
            return answer(
                api,
                request,
                "approval",
                Some(("Approved", "AutoApproved", message)),
                None,
            )
            .await;
        }
    }
    Ok(())
}

async fn may(api: &Api, request: &CertificateRequest, subresource: &str) -> Result<bool, Error> {
    let spec = &request.value["spec"];
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": spec["username"],
            "uid": spec["uid"],
            "groups": spec["groups"],
            "extra": spec["extra"],
            "resourceAttributes": {
                "group": "certificates.k8s.io",
                "resource": "certificatesigningrequests",
                "verb": "create",
                "subresource": subresource,
                "version": "*",
            },
        },
    });
    let answer = api.post(REVIEWS, &review).await?;
    Ok(answer["status"]["allowed"] == true)
}
