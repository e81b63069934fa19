//! What upstream warns of when somebody writes an object: what is taken, and is hardly meant (`WarningsOnCreate` and
//! `WarningsOnUpdate` of its strategies, `pkg/api/*/warnings.go`).

mod addresses;
mod labels;
mod network;
mod overlaps;
mod pod;
mod ports;
mod service;
#[cfg(test)]
mod tests;
mod volume;

use keelson_api::names;
use serde_json::Value;

use super::Kind;
use super::json::{items, text};

/// Most warnings of one object: more than a response's headers hold anyway.
const MOST: usize = 100;

/// Warnings about an object as it will be stored; `old` is there when it is updated.
pub fn of(kind: &Kind, old: Option<&Value>, new: &Value) -> Vec<String> {
    let mut warnings = kind.strategy.warnings(new);
    match (kind.group.as_ref(), kind.kind.as_ref()) {
        ("", "Pod") if old.is_none() => {
            named(&mut warnings, new, "the Pod's hostname");
            pod::warn(&mut warnings, "", new);
        }
        ("apps", "Deployment" | "ReplicaSet") | ("", "ReplicationController") => {
            workload(&mut warnings, old, new, true, "/spec/template");
        }
        ("batch", "Job") => {
            many_indexes(&mut warnings, old, new, "/spec");
            workload(&mut warnings, old, new, true, "/spec/template");
        }
        ("apps", "DaemonSet") => workload(&mut warnings, old, new, false, "/spec/template"),
        ("apps", "StatefulSet") => {
            workload(&mut warnings, old, new, false, "/spec/template");
            stateful(&mut warnings, old, new);
        }
        ("batch", "CronJob") => {
            many_indexes(&mut warnings, old, new, "/spec/jobTemplate/spec");
            workload(&mut warnings, old, new, true, "/spec/jobTemplate/spec/template");
            if text(new, "/spec/schedule").contains("TZ") {
                warnings.push(
                    "CRON_TZ or TZ used in spec.schedule is not officially supported, see \
                     https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
                        .to_owned(),
                );
            }
        }
        ("", "PodTemplate") => workload(&mut warnings, old, new, false, "/template"),
        ("", "Service") => service::warn(&mut warnings, new),
        ("", "PersistentVolume") => volume::warn(&mut warnings, new),
        ("", "PersistentVolumeClaim") => volume::claim(&mut warnings, new),
        ("", "ServiceAccount") => mountable_secrets(&mut warnings, old, new),
        ("node.k8s.io", "RuntimeClass") => labels::runtime_class(&mut warnings, new),
        ("storage.k8s.io", "StorageClass") => labels::storage_class(&mut warnings, new),
        ("networking.k8s.io", "Ingress") => network::ingress(&mut warnings, old, new),
        ("networking.k8s.io", "NetworkPolicy") => network::policy(&mut warnings, new),
        ("discovery.k8s.io", "EndpointSlice") => network::slice(&mut warnings, old, new),
        ("", "Endpoints") => network::endpoints(&mut warnings, new),
        ("", "Node") => network::node(&mut warnings, new),
        _ => {}
    }
    warnings.truncate(MOST);
    warnings
}

/// Of what makes pods: its name, when it is made, and its template, when it has changed.
fn workload(warnings: &mut Vec<String>, old: Option<&Value>, new: &Value, names: bool, template: &str) {
    if old.is_none() && names {
        named(warnings, new, "Pod names and hostnames");
    }
    if is_same(old, new) {
        return;
    }
    let path = format!("{}.", template.trim_start_matches('/').replace('/', "."));
    if let Some(template) = new.pointer(template) {
        pod::warn(warnings, &path, template);
    }
}

/// Whether nothing that is desired has changed.
fn is_same(old: Option<&Value>, new: &Value) -> bool {
    let generation = "/metadata/generation";
    old.is_some_and(|old| old.pointer(generation) == new.pointer(generation))
}

/// Of an indexed job of which more indexes may fail than its status has room for.
fn many_indexes(warnings: &mut Vec<String>, old: Option<&Value>, new: &Value, spec: &str) {
    let job = new.pointer(spec).unwrap_or(&Value::Null);
    let above = |field: &str, limit: i64| job[field].as_i64().is_some_and(|number| number > limit);
    let many = above("completions", 100_000) && above("parallelism", 10_000);
    if many && text(job, "/completionMode") == "Indexed" && !is_same(old, new) {
        let path = spec.trim_start_matches('/').replace('/', ".");
        warnings.push(format!(
            "{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
             Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        ));
    }
}

/// Of a name that is more than a label.
fn named(warnings: &mut Vec<String>, object: &Value, purpose: &str) {
    let mistakes = names::dns1123_label(text(object, "/metadata/name"));
    if !mistakes.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in {purpose}, which can result in surprising behavior; a DNS label is recommended: \
             [{}]",
            mistakes.join(" ")
        ));
    }
}

fn stateful(warnings: &mut Vec<String>, old: Option<&Value>, set: &Value) {
    if set["spec"]["revisionHistoryLimit"]
        .as_i64()
        .is_some_and(|limit| limit < 0)
    {
        warnings.push(
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
                .to_owned(),
        );
    }
    for (index, claim) in items(set, "/spec/volumeClaimTemplates")
        .iter()
        .enumerate()
        .take(MOST)
    {
        // Upstream's paths of new sets and of changed ones.
        let part = if old.is_some() { ".Spec" } else { "" };
        volume::claim_spec(
            warnings,
            format_args!("spec.volumeClaimTemplates[{index}]{part}"),
            &claim["spec"],
        );
    }
}

/// Of the annotation that admission still obeys.
fn mountable_secrets(warnings: &mut Vec<String>, old: Option<&Value>, new: &Value) {
    let asked = |account: &Value| {
        account["metadata"]["annotations"]["kubernetes.io/enforce-mountable-secrets"].is_string()
    };
    if asked(new) && !old.is_some_and(asked) {
        warnings.push(
            "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces \
             to isolate access to mounted secrets"
                .to_owned(),
        );
    }
}
