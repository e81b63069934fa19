//! CertificateSigningRequests: approving those of kubelets, signing what is approved, and clearing up.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/certificates`. The four signers `kubernetes.io/...` are ours; requests for
//! others are for others to sign.

mod approve;
mod clean;
mod rules;
mod sign;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Context;
use super::api::{Api, Error, resources};
use super::informer::{Next, Queue};
use super::model::{CertificateRequest, Time};

const NAME: &str = "certificate-controller";

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let queue: Arc<Queue<String>> = Queue::new();
    let adder = queue.clone();
    context.signing_requests.on_change(move |_, new| {
        if let Some(request) = new {
            adder.add(request.metadata.name.clone());
        }
    });
    let (api, requests) = (context.api(NAME), context.signing_requests.clone());
    let pki_dir = context.config.pki_dir.clone();
    tasks.spawn(async move {
        requests.synced().await;
        queue
            .work(NAME, |name| {
                let (api, pki_dir) = (api.clone(), pki_dir.clone());
                let request = requests.store().get("", &name);
                async move {
                    let Some(request) = request else {
                        return Ok(Next::Wait);
                    };
                    if let Some(next) = clean::look(&api, &request, Time::now().0).await? {
                        return Ok::<_, Error>(next);
                    }
                    approve::look(&api, &request).await?;
                    sign::look(&api, &request, &pki_dir).await?;
                    Ok(match clean::ends(&request, Time::now().0) {
                        Some(left) => Next::After(std::time::Duration::from_secs(left.unsigned_abs().max(1))),
                        None => Next::Wait,
                    })
                }
            })
            .await;
    });
}

/// Adds a condition through a subresource, and with it perhaps a certificate.
async fn answer(
    api: &Api,
    request: &CertificateRequest,
    subresource: &str,
    condition: Option<(&str, &str, &str)>,
    certificate: Option<&str>,
) -> Result<(), Error> {
    let place = ("", request.metadata.name.as_str(), request.metadata.uid.as_str());
    api.edit(resources::signing_requests(), place, subresource, |live| {
        let status = &mut live["status"];
        if !status.is_object() {
            *status = json!({});
        }
        if let Some(certificate) = certificate {
            status["certificate"] = certificate.into();
        }
        if let Some((kind, reason, message)) = condition {
            let list = &mut status["conditions"];
            if !list.is_array() {
                *list = Value::Array(Vec::new());
            }
            if let Some(list) = list.as_array_mut() {
                // Somebody else was faster.
                if list.iter().any(|one| one["type"] == kind) {
                    return false;
                }
                list.push(json!({"type": kind, "status": "True", "reason": reason, "message": message}));
            }
        }
        true
    })
    .await
    .map(drop)
}
