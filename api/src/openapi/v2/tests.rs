//! The document as clients read it.

use serde_json::{Value, json};

use super::{hash, json as document, protobuf};
use crate::openapi::tests::deployments;

fn read() -> Value {
    serde_json::from_slice(&document(&[deployments()], "v1.33.0")).unwrap()
}

/// All references of a value.
fn references<'a>(value: &'a Value, out: &mut Vec<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, out)),
        Value::Object(fields) => {
            out.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, out));
        }
        _ => {}
    }
}

#[test]
fn definitions_are_complete_and_have_what_kubectl_reads() {
    let read = read();
    assert_eq!(read["swagger"], "2.0");
    let mut all = Vec::new();
    references(&read, &mut all);
    assert!(all.len() > 100);
    for reference in all {
        let name = reference
            .strip_prefix("#/definitions/")
            .unwrap_or_else(|| panic!("{reference}"));
        assert!(read["definitions"][name].is_object(), "{name}");
    }
    let deployment = &read["definitions"]["io.k8s.api.apps.v1.Deployment"];
    assert_eq!(
        deployment["x-kubernetes-group-version-kind"],
        json!([{"group": "apps", "kind": "Deployment", "version": "v1"}])
    );
    let spec = &deployment["properties"]["spec"];
    assert_eq!(spec["$ref"], "#/definitions/io.k8s.api.apps.v1.DeploymentSpec");
    assert!(spec["description"].is_string() && spec["allOf"].is_null());
    let containers = &read["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(
        (
            &containers["x-kubernetes-patch-strategy"],
            &containers["x-kubernetes-patch-merge-key"]
        ),
        (&json!("merge"), &json!("name"))
    );
    let quantity = &read["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"];
    assert_eq!(
        (&quantity["type"], &quantity["oneOf"]),
        (&json!("string"), &Value::Null)
    );
    let port = &read["definitions"]["io.k8s.apimachinery.pkg.util.intstr.IntOrString"];
    assert_eq!(
        (&port["type"], &port["format"]),
        (&json!("string"), &json!("int-or-string"))
    );
}

#[test]
fn operations_take_a_body_and_name_their_kind() {
    let read = read();
    let path = &read["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
    assert_eq!(path["parameters"][0]["type"], "string");
    let patch = &path["patch"];
    let parameters = patch["parameters"].as_array().unwrap();
    assert_eq!(
        (&parameters[0]["in"], &parameters[0]["name"]),
        (&json!("body"), &json!("body"))
    );
    assert!(
        parameters
            .iter()
            .any(|one| one["name"] == "fieldValidation" && one["type"] == "string")
    );
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "apps", "kind": "Deployment", "version": "v1"})
    );
    assert!(
        patch["consumes"]
            .as_array()
            .unwrap()
            .contains(&json!("application/strategic-merge-patch+json"))
    );
    let schema = &path["get"]["responses"]["200"]["schema"];
    assert_eq!(schema["$ref"], "#/definitions/io.k8s.api.apps.v1.Deployment");
}

#[test]
fn the_protobuf_begins_as_gnostics_document_does() {
    let bytes = protobuf(&[deployments()], "v1.33.0");
    assert!(bytes.starts_with(b"\x0a\x032.0\x12\x15\x0a\x0aKubernetes\x12\x07v1.33.0\x42"));
    assert_ne!(hash(&[deployments()], false), hash(&[deployments()], true));
    let mut other = deployments();
    other.plural.push('x');
    assert_ne!(hash(&[deployments()], false), hash(&[other], false));
}
