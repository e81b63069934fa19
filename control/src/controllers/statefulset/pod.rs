//! The pod of an ordinal, and its claims.

use serde_json::{Value, json};

use crate::controllers::model::{Pod, StatefulSet, controller_reference};
use crate::controllers::{api::resources, pods, revisions};

/// Ordinal of a pod of this set, if its name has one.
pub fn ordinal(set: &StatefulSet, pod: &Pod) -> Option<i64> {
    let digits = pod
        .metadata
        .name
        .strip_prefix(&set.metadata.name)?
        .strip_prefix('-')?;
    digits
        .parse()
        .ok()
        .filter(|ordinal: &i64| ordinal.to_string() == digits)
}

/// The pod for an ordinal, of a revision's template. The revision label carries the revision's name, not its hash.
pub fn pod(set: &StatefulSet, template: &Value, revision: &str, ordinal: i64) -> Value {
    let name = format!("{}-{ordinal}", set.metadata.name);
    let mut body = pods::from_template(
        template,
        &set.metadata.namespace,
        json!({"name": name}),
        &controller_reference(&set.metadata, resources::stateful_sets()),
    );
    let labels = &mut body["metadata"]["labels"];
    labels["statefulset.kubernetes.io/pod-name"] = name.clone().into();
    labels["apps.kubernetes.io/pod-index"] = ordinal.to_string().into();
    labels[revisions::HASH_LABEL] = revision.into();
    body["spec"]["hostname"] = name.clone().into();
    body["spec"]["subdomain"] = set.spec.service_name.clone().into();
    let mut volumes = body["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    for claim in &set.spec.volume_claim_templates {
        let volume = claim["metadata"]["name"].clone();
        volumes.retain(|existing| existing["name"] != volume);
        let claim_name = claim_name(claim, &name);
        volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": claim_name}}));
    }
    if !volumes.is_empty() {
        body["spec"]["volumes"] = volumes.into();
    }
    body
}

fn claim_name(claim: &Value, pod: &str) -> String {
    format!("{}-{pod}", claim["metadata"]["name"].as_str().unwrap_or_default())
}

/// The claims of an ordinal. They outlive the pod and the set.
pub fn claims(set: &StatefulSet, ordinal: i64) -> Vec<Value> {
    let pod = format!("{}-{ordinal}", set.metadata.name);
    let claim = |template: &Value| {
        let mut labels = template["metadata"]["labels"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        for (key, value) in &set.spec.selector.match_labels {
            labels.insert(key.clone(), value.clone().into());
        }
        json!({
            "metadata": {
                "name": claim_name(template, &pod),
                "namespace": set.metadata.namespace,
                "labels": labels,
                "annotations": template["metadata"]["annotations"],
            },
            "spec": template["spec"],
        })
    };
    set.spec.volume_claim_templates.iter().map(claim).collect()
}
