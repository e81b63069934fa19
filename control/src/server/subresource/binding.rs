//! `pods/binding` and `bindings`: the scheduler's decision (`pkg/registry/core/pod/storage.BindingREST`).

use http::{Response, StatusCode};
use keelson_api::status::{FieldError, Status};
use keelson_api::time;
use serde_json::{Map, Value, json};

use crate::server::body::Body;
use crate::server::call::Call;
use crate::server::options::Options;
use crate::server::respond;
use crate::server::write::managed::Managers;
use crate::server::write::update::{Edit, apply};
use crate::server::write::{decode, metadata};

/// `POST /api/v1/namespaces/NS/bindings`: the pod is named in the body.
pub async fn create(call: &Call, bytes: &[u8]) -> Result<Response<Body>, Status> {
    Options::Create.check(&call.query)?;
    let (binding, warnings) = decode::other(call, bytes, "Binding", "v1")?;
    let registry = call.api.registry();
    let Some(pods) = registry.find("", "v1", "pods") else {
        return Err(Status::no_such_resource());
    };
    let mut path = call.path.clone();
    metadata::text(&binding, "name").clone_into(&mut path.name);
    let call = Call {
        api: call.api.clone(),
        user: call.user.clone(),
        served: pods.clone(),
        path,
        raw_query: String::new(),
        query: call.query.clone(),
        accept: call.accept,
        headers: call.headers.clone(),
        local: call.local,
    };
    assign(&call, &binding, &warnings).await
}

/// `POST pods/NAME/binding`.
pub async fn bind(call: &Call, bytes: &[u8]) -> Result<Response<Body>, Status> {
    Options::Create.check(&call.query)?;
    let (binding, warnings) = decode::other(call, bytes, "Binding", "v1")?;
    let name = metadata::text(&binding, "name");
    if !matches!(name, "") && name != call.path.name {
        return Err(Status::bad_request(format!(
            "name in URL does not match name in Binding object ({} != {name})",
            call.path.name
        )));
    }
    assign(call, &binding, &warnings).await
}

async fn assign(call: &Call, binding: &Value, warnings: &[String]) -> Result<Response<Body>, Status> {
    let name = call.path.name.as_str();
    let target = binding["target"]["name"].as_str().unwrap_or_default();
    let kind = binding["target"]["kind"].as_str().unwrap_or_default();
    let mut errors = Vec::new();
    if !matches!(kind, "" | "Node") {
        errors.push(FieldError::not_supported(
            "target.kind",
            kind,
            &["Node", "<empty>"],
        ));
    }
    if target.is_empty() {
        errors.push(FieldError::required("target.name", ""));
    }
    if !errors.is_empty() {
        return Err(Status::invalid("", "Binding", name, &errors));
    }
    let edit = Edit {
        subresource: Some("binding"),
        dry_run: call.query.dry_run(),
        checked: false,
        managers: Managers::Keep,
    };
    apply(call, &edit, |old| {
        if let Some(why) = refusal(old, binding, name) {
            return Err(Status::conflict_because("", "pods/binding", name, &why));
        }
        Ok(assigned(old, binding, target))
    })
    .await?;
    Ok(respond::plain(
        call,
        StatusCode::CREATED,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
        warnings,
    ))
}

/// Why the pod of this name cannot get a node by this binding.
fn refusal(pod: &Value, binding: &Value, name: &str) -> Option<String> {
    let uid = metadata::text(binding, "uid");
    let found = metadata::text(pod, "uid");
    if !uid.is_empty() && uid != found {
        return Some(format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
        ));
    }
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return Some(format!(
            "pod {name} is being deleted, cannot be assigned to a host"
        ));
    }
    if let Some(node) = pod["spec"]["nodeName"].as_str().filter(|node| !node.is_empty()) {
        return Some(format!("pod {name} is already assigned to node {node:?}"));
    }
    let gates = pod["spec"]["schedulingGates"].as_array();
    gates
        .is_some_and(|gates| !gates.is_empty())
        .then(|| format!("pod {name} has non-empty .spec.schedulingGates"))
}

/// The pod on its node, with the binding's annotations and the condition that says so. Its labels stay the pod's own:
/// upstream's copies zone and region of the node only, behind a gate that is off in 1.33 (`PodTopologyLabelsAdmission`).
fn assigned(pod: &Value, binding: &Value, node: &str) -> Value {
    let mut pod = pod.clone();
    pod["spec"]["nodeName"] = node.into();
    let add = binding["metadata"]["annotations"].as_object();
    if let Some(add) = add.filter(|add| !add.is_empty()) {
        let annotations = &mut pod["metadata"]["annotations"];
        if !annotations.is_object() {
            *annotations = Value::Object(Map::new());
        }
        for (key, value) in add {
            annotations[key.as_str()] = value.clone();
        }
    }
    let condition = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": time::now_rfc3339(),
    });
    let mut conditions = pod["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    match conditions.iter_mut().find(|one| one["type"] == "PodScheduled") {
        Some(old) if old["status"] == "True" => {}
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
    pod["status"]["conditions"] = conditions.into();
    pod
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_cannot_be_bound() {
        let free = json!({"metadata": {"uid": "a"}, "spec": {"schedulingGates": []}});
        let binding = json!({"metadata": {"uid": "a"}});
        assert_eq!(refusal(&free, &binding, "p"), None);
        let mut gated = free.clone();
        gated["spec"]["schedulingGates"] = json!([{"name": "g"}]);
        let mut bound = free.clone();
        bound["spec"]["nodeName"] = "n".into();
        let mut gone = bound.clone();
        gone["metadata"]["deletionTimestamp"] = "2000-01-01T00:00:00Z".into();
        for (pod, why) in [
            (&gated, "pod p has non-empty .spec.schedulingGates"),
            (&bound, "pod p is already assigned to node \"n\""),
            (&gone, "pod p is being deleted, cannot be assigned to a host"),
        ] {
            assert_eq!(refusal(pod, &binding, "p").as_deref(), Some(why));
        }
        let other = json!({"metadata": {"uid": "b"}});
        assert!(refusal(&free, &other, "p").is_some_and(|why| why.starts_with("Precondition failed")));
    }

    #[test]
    fn a_binding_adds_annotations_and_no_labels() {
        let pod = json!({"metadata": {"labels": {"app": "a"}, "annotations": {"x": "1"}}, "spec": {}});
        let binding = json!({"metadata": {
            "labels": {"app": "b", "not a label!": "\n"}, "annotations": {"y": "2"},
        }});
        let bound = assigned(&pod, &binding, "n1");
        let expected = json!({"labels": {"app": "a"}, "annotations": {"x": "1", "y": "2"}});
        assert_eq!(bound["metadata"], expected);
        assert_eq!(bound["spec"]["nodeName"], "n1");
    }
}
