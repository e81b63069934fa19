//! `pods/eviction`: a delete that asks the disruption budgets first (`pkg/registry/core/pod/storage.EvictionREST`).

mod mark;

use std::sync::Arc;

use http::{Response, StatusCode};
use keelson_api::status::{Cause, Status};
use keelson_api::time;
use serde_json::{Value, json};

use crate::object::{GroupResource, Object};
use crate::server::body::Body;
use crate::server::call::Call;
use crate::server::options::Options;
use crate::server::write::{decode, delete, metadata};
use crate::server::{encode, respond};
use crate::store::{Change, Expect, Range, StoreError, Write, key_of};

/// How often the budget is read again when somebody else changed it.
const TRIES: usize = 8;
/// Evictions of a budget's pods that its controller has not seen yet.
const MOST_UNSEEN: usize = 2000;

/// Versions in which evictions may still be written, although nothing else of them is served: they say the same.
const OLDER: [&str; 1] = ["policy/v1beta1"];

/// Evicts the pod.
pub async fn evict(call: &Call, bytes: &[u8]) -> Result<Response<Body>, Status> {
    Options::Create.check(&call.query)?;
    let (eviction, warnings) = decode::other_of(call, bytes, "Eviction", "policy/v1", &OLDER)?;
    let name = metadata::text(&eviction, "name");
    if !name.is_empty() && name != call.path.name {
        return Err(Status::bad_request(format!(
            "name in URL does not match name in Eviction object ({} != {name})",
            call.path.name
        )));
    }
    let mut options = delete::Options::of(&eviction["deleteOptions"])?;
    options.dry_run |= call.query.dry_run();
    let asked = options.revision.is_some();
    let mut tries = 0;
    loop {
        tries += 1;
        let pod = call.stored()?;
        // A delete that cannot be must not cost a disruption.
        delete::check(call, &pod, &options).await?;
        let value = pod.value();
        if !is_free_to_go(&value) {
            counted(call, &pod, options).await?;
            break;
        }
        match go(call, &pod, options.clone(), is_to_come(&value)).await {
            // It may count by now.
            Err(status) if status.code == 409 && !asked && tries < TRIES => {}
            outcome => {
                outcome?;
                break;
            }
        }
    }
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(respond::plain(call, StatusCode::CREATED, &status, &warnings))
}

/// Evicts a pod that counts for budgets.
async fn counted(call: &Call, pod: &Arc<Object>, options: delete::Options) -> Result<(), Status> {
    let asked = options.revision.is_some();
    let unready_under = take_from_budget(call, pod, options.dry_run).await?;
    // It must not have become ready meanwhile.
    let outcome = go(call, pod, options, unready_under.is_some()).await;
    match (&outcome, &unready_under) {
        (Err(status), Some(budget)) if status.code == 409 && !asked => Err(being_processed(budget)),
        _ => outcome,
    }
}

/// Marks the pod and deletes it; `fixed` is one that must not change before that.
async fn go(call: &Call, pod: &Arc<Object>, mut options: delete::Options, fixed: bool) -> Result<(), Status> {
    let fixed = fixed || options.revision.is_some();
    let mut revision = pod.resource_version;
    if !options.dry_run {
        revision = mark::pod(call, pod, fixed).await?;
    }
    if fixed {
        options.revision = Some(revision.to_string());
    }
    delete::run(call, &call.path.name, call.namespace(), &options).await?;
    Ok(())
}

/// Whether a pod that does not count may begin to.
fn is_to_come(pod: &Value) -> bool {
    pod["status"]["phase"].as_str().unwrap_or("Pending") == "Pending"
        && pod["metadata"]["deletionTimestamp"].is_null()
}

/// Pods that do not run do not count for budgets.
fn is_free_to_go(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str().unwrap_or("Pending");
    matches!(phase, "Succeeded" | "Failed" | "Pending") || !pod["metadata"]["deletionTimestamp"].is_null()
}

/// Whether the budget's policy lets the pod go uncounted, because it is not ready.
fn is_uncounted(budget: &Value, pod: &Value) -> bool {
    let ready = pod["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    let number = |field: &str| budget["status"][field].as_i64().unwrap_or(0);
    !ready
        && (budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
            || (number("desiredHealthy") > 0 && number("currentHealthy") >= number("desiredHealthy")))
}

/// Counts the disruption in the one budget that selects the pod, or refuses. The name of the budget if it need not be
/// counted as long as the pod is not ready.
async fn take_from_budget(call: &Call, pod: &Object, dry_run: bool) -> Result<Option<String>, Status> {
    let Some(served) = call
        .api
        .registry()
        .find("policy", "v1", "poddisruptionbudgets")
        .cloned()
    else {
        return Ok(None);
    };
    for _ in 0..TRIES {
        let budgets = selecting(call, &served.storage, pod)?;
        let budget = match budgets.as_slice() {
            [] => return Ok(None),
            [budget] => budget,
            _ => {
                return Err(Status::failure(
                    500,
                    "InternalError",
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                    None,
                ));
            }
        };
        let current = budget.value();
        if is_uncounted(&current, &pod.value()) {
            return Ok(Some(budget.name.clone()));
        }
        let new = disrupted(&current, &pod.name)?;
        if dry_run {
            return Ok(None);
        }
        let write = Write {
            resource: served.storage.clone(),
            key: key_of(&budget.namespace, &budget.name),
            expect: Expect::Revision(budget.resource_version),
            change: Change::Put {
                object: encode::object(&served.kind, &new),
                expires: None,
            },
        };
        match call.api.store.write(write).await {
            Ok(_) => return Ok(None),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(call.store_error(&budget.name, &error)),
        }
    }
    Err(Status::too_many_requests(
        "couldn't update PodDisruptionBudget because of conflicts; try again",
        10,
    ))
}

fn selecting(
    call: &Call,
    storage: &GroupResource,
    pod: &Object,
) -> Result<Vec<std::sync::Arc<Object>>, Status> {
    let page = call
        .api
        .store
        .range(storage, &Range::all(Some(&pod.namespace)))
        .map_err(|error| call.store_error(&pod.name, &error))?;
    Ok(page
        .objects
        .into_iter()
        .filter(|budget| call.api.budgets.selects(budget, pod))
        .collect())
}

fn refused(message: String) -> Status {
    let mut status = Status::too_many_requests(
        "Cannot evict pod as it would violate the pod's disruption budget.",
        0,
    );
    if let Some(details) = &mut status.details {
        details.retry_after_seconds = None;
        details.causes.push(Cause {
            reason: "DisruptionBudget".to_owned(),
            message,
            field: String::new(),
        });
    }
    status
}

fn being_processed(budget: &str) -> Status {
    let mut status = refused(format!(
        "The disruption budget {budget} is still being processed by the server."
    ));
    if let Some(details) = &mut status.details {
        details.retry_after_seconds = Some(10);
    }
    status
}

/// The budget with one disruption less.
fn disrupted(budget: &Value, pod: &str) -> Result<Value, Status> {
    let number = |field: &str| budget["status"][field].as_i64().unwrap_or(0);
    let name = metadata::text(budget, "name");
    if number("observedGeneration") < budget["metadata"]["generation"].as_i64().unwrap_or(0) {
        return Err(being_processed(name));
    }
    let forbidden = |why: &str| Err(Status::forbidden("policy", "poddisruptionbudget", name, why));
    if number("disruptionsAllowed") < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    let unseen = budget["status"]["disruptedPods"].as_object();
    if unseen.is_some_and(|pods| pods.len() > MOST_UNSEEN) {
        return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    }
    let allowed = number("disruptionsAllowed");
    if allowed == 0 {
        return Err(refused(format!(
            "The disruption budget {name} needs {} healthy pods and has {} currently",
            number("desiredHealthy"),
            number("currentHealthy")
        )));
    }
    let mut new = budget.clone();
    new["status"]["disruptionsAllowed"] = (allowed - 1).into();
    if allowed == 1 {
        mark::set(
            &mut new["status"],
            "DisruptionAllowed",
            "False",
            ("InsufficientPods", ""),
        );
    }
    new["status"]["disruptedPods"][pod] = time::now_rfc3339().into();
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(policy: Option<&str>, current: i64, desired: i64) -> Value {
        json!({
            "metadata": {"name": "b", "generation": 1},
            "spec": {"unhealthyPodEvictionPolicy": policy},
            "status": {"currentHealthy": current, "desiredHealthy": desired, "disruptionsAllowed": 0},
        })
    }

    #[test]
    fn pods_that_are_not_ready_need_no_disruption() {
        let pod = |ready: &str| json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}});
        let always = Some("AlwaysAllow");
        for (policy, current, desired, uncounted) in [
            (None, 2, 2, true),
            (Some("IfHealthyBudget"), 3, 2, true),
            (Some("IfHealthyBudget"), 1, 2, false),
            (None, 0, 0, false),
            (always, 0, 2, true),
            (always, 0, 0, true),
        ] {
            let budget = budget(policy, current, desired);
            for ready in ["False", "Unknown"] {
                assert_eq!(is_uncounted(&budget, &pod(ready)), uncounted, "{budget}");
            }
            assert_eq!(is_uncounted(&budget, &json!({})), uncounted, "{budget}");
            assert!(!is_uncounted(&budget, &pod("True")), "{budget}");
        }
    }

    #[test]
    fn a_budget_says_when_it_is_used_up() {
        let with = |allowed: i64, unseen: usize| {
            let mut budget = budget(None, 3, 2);
            budget["status"]["observedGeneration"] = 1.into();
            budget["status"]["disruptionsAllowed"] = allowed.into();
            let pods = (0..unseen).map(|pod| (pod.to_string(), Value::from("t")));
            budget["status"]["disruptedPods"] = Value::Object(pods.collect());
            disrupted(&budget, "p").map(|new| new["status"]["conditions"][0]["reason"].clone())
        };
        assert_eq!(with(2, MOST_UNSEEN).unwrap(), Value::Null);
        assert_eq!(with(1, 0).unwrap(), "InsufficientPods");
        for (allowed, unseen, code) in [(0, 0, 429), (-1, 0, 403), (1, MOST_UNSEEN + 1, 403)] {
            assert_eq!(with(allowed, unseen).unwrap_err().code, code);
        }
    }
}
