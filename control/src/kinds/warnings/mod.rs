//! What upstream warns of when somebody writes an object: what is taken, and is hardly meant (`WarningsOnCreate` and
//! `WarningsOnUpdate` of its strategies, `pkg/api/*/warnings.go`).

mod addresses;
mod labels;
mod network;
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
        ("apps", "Deployment" | "ReplicaSet") | ("", "ReplicationController") | ("batch", "Job") => {
            workload(&mut warnings, old, new, true, "/spec/template");
        }
        ("apps", "DaemonSet") => workload(&mut warnings, old, new, false, "/spec/template"),
        ("apps", "StatefulSet") => {
            workload(&mut warnings, old, new, false, "/spec/template");
            stateful(&mut warnings, new);
        }
        ("batch", "CronJob") => {
            workload(&mut warnings, old, new, true, "/spec/jobTemplate/spec/template");
            if text(new, "/spec/schedule").contains("TZ") {
                warnings.push(
                    "CRON_TZ or TZ used in spec.schedule is not officially supported, see \
                     https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
                        .to_owned(),
                );
            }
        }
        ("", "PodTemplate") => pod::warn(&mut warnings, "template.", &new["template"]),
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
    let generation = "/metadata/generation";
    if old.is_some_and(|old| old.pointer(generation) == new.pointer(generation)) {
        return;
    }
    let path = format!("{}.", template.trim_start_matches('/').replace('/', "."));
    if let Some(template) = new.pointer(template) {
        pod::warn(warnings, &path, template);
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

fn stateful(warnings: &mut Vec<String>, set: &Value) {
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
        volume::claim_spec(
            warnings,
            format_args!("spec.volumeClaimTemplates[{index}].Spec"),
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
