use serde_json::{Value, json};

use super::{CustomSchema, Resource, Subresource, document, hash, index, other_document, other_hash};

pub(super) fn deployments() -> Resource {
    let verbs = [
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    ];
    Resource {
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        kind: "Deployment".to_owned(),
        plural: "deployments".to_owned(),
        namespaced: true,
        verbs: verbs.map(str::to_owned).to_vec(),
        subresources: vec![Subresource {
            name: "scale".to_owned(),
            group: "autoscaling".to_owned(),
            version: "v1".to_owned(),
            kind: "Scale".to_owned(),
            verbs: ["get", "patch", "update"].map(str::to_owned).to_vec(),
        }],
        schema: None,
    }
}

fn read(resources: &[Resource], group: &str) -> Value {
    serde_json::from_slice(&document(resources, group, "v1", "v1.33.0").unwrap()).unwrap()
}

#[test]
fn what_kubectl_looks_for() {
    let document = read(&[deployments()], "apps");
    let item = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
    let gvk = json!({"group": "apps", "kind": "Deployment", "version": "v1"});
    assert_eq!(item["get"]["x-kubernetes-group-version-kind"], gvk);
    assert_eq!(item["patch"]["x-kubernetes-action"], "patch");
    assert_eq!(item["patch"]["operationId"], "patchAppsV1NamespacedDeployment");
    let parameters = item["patch"]["parameters"].as_array().unwrap();
    assert!(
        parameters
            .iter()
            .any(|parameter| parameter["name"] == "fieldValidation")
    );
    assert!(
        item["patch"]["requestBody"]["content"]
            .get("application/strategic-merge-patch+json")
            .is_some()
    );
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"],
        json!([gvk])
    );
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    assert_eq!(
        containers["items"]["$ref"],
        "#/components/schemas/io.k8s.api.core.v1.Container"
    );
    assert!(
        containers["description"]
            .as_str()
            .unwrap()
            .starts_with("List of containers")
    );
}

#[test]
fn watches_have_paths_of_their_own() {
    let document = read(&[deployments()], "apps");
    for (path, action, id) in [
        (
            "deployments",
            "watchlist",
            "watchAppsV1DeploymentListForAllNamespaces",
        ),
        (
            "namespaces/{namespace}/deployments",
            "watchlist",
            "watchAppsV1NamespacedDeploymentList",
        ),
        (
            "namespaces/{namespace}/deployments/{name}",
            "watch",
            "watchAppsV1NamespacedDeployment",
        ),
    ] {
        let get = &document["paths"][format!("/apis/apps/v1/watch/{path}")]["get"];
        assert_eq!(
            (&get["x-kubernetes-action"], &get["operationId"]),
            (&json!(action), &json!(id))
        );
        assert_eq!(
            get["responses"]["200"]["content"]["application/json"]["schema"]["$ref"],
            "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent"
        );
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = read(&[deployments()], "apps");
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
    assert!(schemas.contains_key("io.k8s.api.autoscaling.v1.Scale"));
    assert!(schemas.contains_key("io.k8s.api.apps.v1.DeploymentList"));
    assert!(
        !schemas.contains_key("io.k8s.api.core.v1.Node"),
        "only what is needed"
    );
}

#[test]
fn the_index_leads_to_documents() {
    let resources = [deployments()];
    let index: Value = serde_json::from_slice(&index(&resources)).unwrap();
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    assert_eq!(
        url,
        format!("/openapi/v3/apis/apps/v1?hash={}", hash(&resources, "apps", "v1"))
    );
    assert!(document(&resources, "batch", "v1", "").is_none());
    let mut other = deployments();
    other.namespaced = false;
    assert_ne!(hash(&[other], "apps", "v1"), hash(&resources, "apps", "v1"));
}

#[test]
fn custom_resources_bring_their_schema() {
    let mut widget = deployments();
    (widget.group, widget.kind, widget.plural) = (
        "example.com".to_owned(),
        "Widget".to_owned(),
        "widgets".to_owned(),
    );
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object"}}});
    widget.schema = Some(CustomSchema::new(&schema));
    let document = read(&[widget], "example.com");
    let schema = &document["components"]["schemas"]["com.example.v1.Widget"];
    assert_eq!(schema["properties"]["spec"]["type"], "object");
    let content = &document["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"]["patch"]["requestBody"]
        ["content"];
    assert!(content.get("application/strategic-merge-patch+json").is_none());
}

#[test]
fn what_clients_need_not_say_is_not_required() {
    let document = read(&[deployments()], "apps");
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["io.k8s.api.apps.v1.Deployment"].get("required"), None);
    assert_eq!(
        schemas["io.k8s.api.apps.v1.DeploymentSpec"]["required"],
        json!(["selector", "template"])
    );
    assert_eq!(
        schemas["io.k8s.api.core.v1.LocalObjectReference"].get("required"),
        None
    );
    assert_eq!(
        schemas["io.k8s.api.core.v1.ConfigMapKeySelector"]["required"],
        json!(["key"])
    );
    assert_eq!(schemas["io.k8s.api.core.v1.Volume"]["required"], json!(["name"]));
}

#[test]
fn events_of_the_core_group_must_have_metadata() {
    let events = Resource {
        plural: "events".to_owned(),
        group: String::new(),
        kind: "Event".to_owned(),
        ..deployments()
    };
    let document = read(&[events], "");
    assert_eq!(
        document["components"]["schemas"]["io.k8s.api.core.v1.Event"]["required"],
        json!(["involvedObject", "metadata"])
    );
}

#[test]
fn paths_that_are_no_group_and_version_have_documents() {
    let resources = [deployments()];
    let index: Value = serde_json::from_slice(&index(&resources)).unwrap();
    let paths: Vec<&String> = index["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        paths,
        [
            ".well-known/openid-configuration",
            "api",
            "apis",
            "apis/apps",
            "apis/apps/v1",
            "openid/v1/jwks",
            "version"
        ]
    );
    let read = |path: &str| -> Value {
        let url = index["paths"][path]["serverRelativeURL"].as_str().unwrap();
        assert_eq!(url, format!("/openapi/v3/{path}?hash={}", other_hash(path)));
        serde_json::from_slice(&other_document(&resources, path, "v1.33.0").unwrap()).unwrap()
    };
    for (path, id, media, gives) in [
        (
            "version",
            "getCodeVersion",
            "application/json",
            "io.k8s.apimachinery.pkg.version.Info",
        ),
        (
            "apis/apps",
            "getAppsAPIGroup",
            "application/yaml",
            "io.k8s.apimachinery.pkg.apis.meta.v1.APIGroup",
        ),
    ] {
        let document = read(path);
        let get = &document["paths"][format!("/{path}/")]["get"];
        assert_eq!(get["operationId"], id);
        assert_eq!(
            get["responses"]["200"]["content"][media]["schema"]["$ref"],
            format!("#/components/schemas/{gives}")
        );
        assert!(
            document["components"]["schemas"][gives]["properties"].is_object(),
            "{gives}"
        );
    }
    let keys = read("openid/v1/jwks");
    let content = &keys["paths"]["/openid/v1/jwks/"]["get"]["responses"]["200"]["content"];
    assert_eq!(
        content["application/jwk-set+json"]["schema"],
        json!({"type": "string"})
    );
    assert!(other_document(&resources, "apis/batch", "").is_none());
    let apps = read_list(&resources);
    assert_eq!(apps["get"]["operationId"], "getAppsV1APIResources");
}

fn read_list(resources: &[Resource]) -> Value {
    read(resources, "apps")["paths"]["/apis/apps/v1/"].clone()
}
