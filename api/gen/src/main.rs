//! Writes the schemas of Kubernetes' built-in types, as k8s-openapi describes them, in the two files of `api/schema`:
//! `v1_33.types` (structure, one field a line) and `v1_33.docs` (descriptions). `api::schema` documents the format.

use std::fmt::Write;

use k8s_openapi::Resource;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

/// Adds the kinds of one group and version: (definition, group/version, kind).
macro_rules! kinds {
    ($generator:ident, $roots:ident, $($module:path { $($kind:ident),* $(,)? })*) => {
        $({ use $module as module; $(add::<module::$kind>(&mut $generator, &mut $roots);)* })*
    };
}

fn add<T: JsonSchema + Resource>(generator: &mut SchemaGenerator, roots: &mut Vec<(String, String)>) {
    generator.subschema_for::<T>();
    roots.push((T::schema_name().into_owned(), format!("{}/{}", T::API_VERSION, T::KIND)));
}

fn main() {
    let folder = std::env::args().nth(1).expect("usage: keelson-api-gen FOLDER");
    let mut generator = SchemaGenerator::default();
    let mut roots = Vec::new();
    kinds! { generator, roots,
        k8s_openapi::api::admissionregistration::v1 {
            MutatingWebhookConfiguration, ValidatingWebhookConfiguration, ValidatingAdmissionPolicy,
            ValidatingAdmissionPolicyBinding
        }
        k8s_openapi::api::apps::v1 { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet }
        k8s_openapi::api::authentication::v1 { SelfSubjectReview, TokenRequest, TokenReview }
        k8s_openapi::api::authorization::v1 {
            LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview
        }
        k8s_openapi::api::autoscaling::v1 { HorizontalPodAutoscaler, Scale }
        k8s_openapi::api::autoscaling::v2 { HorizontalPodAutoscaler }
        k8s_openapi::api::batch::v1 { CronJob, Job }
        k8s_openapi::api::certificates::v1 { CertificateSigningRequest }
        k8s_openapi::api::coordination::v1 { Lease }
        k8s_openapi::api::core::v1 {
            Binding, ComponentStatus, ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume,
            PersistentVolumeClaim, Pod, PodTemplate, ReplicationController, ResourceQuota, Secret, Service,
            ServiceAccount
        }
        k8s_openapi::api::discovery::v1 { EndpointSlice }
        k8s_openapi::api::events::v1 { Event }
        k8s_openapi::api::flowcontrol::v1 { FlowSchema, PriorityLevelConfiguration }
        k8s_openapi::api::networking::v1 { IPAddress, Ingress, IngressClass, NetworkPolicy, ServiceCIDR }
        k8s_openapi::api::node::v1 { RuntimeClass }
        k8s_openapi::api::policy::v1 { Eviction, PodDisruptionBudget }
        k8s_openapi::api::rbac::v1 { ClusterRole, ClusterRoleBinding, Role, RoleBinding }
        k8s_openapi::api::scheduling::v1 { PriorityClass }
        k8s_openapi::api::storage::v1 { CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment }
        k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 { CustomResourceDefinition }
        k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 { APIService }
        k8s_openapi::apimachinery::pkg::apis::meta::v1 { Status }
    }
    // What paths answer that are no group and version.
    generator.subschema_for::<k8s_openapi::apimachinery::pkg::version::Info>();
    generator.subschema_for::<k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup>();
    generator.subschema_for::<k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroupList>();
    generator.subschema_for::<k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList>();
    generator.subschema_for::<k8s_openapi::apimachinery::pkg::apis::meta::v1::APIVersions>();
    generator.subschema_for::<k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions>();
    generator.subschema_for::<k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta>();

    let mut types = String::from(
        "# Built-in types of Kubernetes 1.33, written by api/gen from k8s-openapi 0.29.0. Format: api/src/schema/mod.rs.\n",
    );
    let mut docs = String::new();
    for (name, schema) in generator.definitions() {
        let gvk = roots.iter().find(|(root, _)| root == name);
        definition(&mut types, &mut docs, name, gvk.map(|(_, gvk)| gvk.as_str()), schema);
    }
    std::fs::write(format!("{folder}/v1_33.types"), types).expect("types file");
    std::fs::write(format!("{folder}/v1_33.docs"), docs).expect("docs file");
}

fn definition(types: &mut String, docs: &mut String, name: &str, gvk: Option<&str>, schema: &Value) {
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    types.push_str(name);
    if let Some(gvk) = gvk {
        write!(types, " @{gvk}").unwrap();
    }
    if properties.is_empty() {
        write!(types, " = {}", leaf(name, schema)).unwrap();
    }
    types.push('\n');
    describe(docs, name, schema);
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (field, schema) in properties {
        let mark = if required.iter().any(|name| name == field) { "!" } else { "" };
        writeln!(types, " {field}{mark} {}", expression(schema)).unwrap();
        describe(docs, &format!("{name} {field}"), schema);
    }
}

fn describe(docs: &mut String, name: &str, schema: &Value) {
    if let Some(text) = schema["description"].as_str() {
        let text = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t");
        writeln!(docs, "{name}\t{text}").unwrap();
    }
}

/// A definition without fields of its own.
fn leaf(name: &str, schema: &Value) -> String {
    match name.rsplit('.').next().unwrap_or_default() {
        "Quantity" => "quantity".to_owned(),
        "Time" => "time".to_owned(),
        "MicroTime" => "microtime".to_owned(),
        "IntOrString" => "int-or-string".to_owned(),
        // Any JSON at all, whatever the OpenAPI form says.
        "JSON" => "any".to_owned(),
        _ => expression(schema),
    }
}

fn expression(schema: &Value) -> String {
    if let Some(target) = schema["$ref"].as_str() {
        return target.trim_start_matches("#/$defs/").to_owned();
    }
    if schema["oneOf"].is_array() || schema["anyOf"].is_array() {
        return "any".to_owned();
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("array"), _) => format!("[]{}", expression(&schema["items"])),
        (Some("object"), _) if schema["additionalProperties"].is_object() => {
            format!("map:{}", expression(&schema["additionalProperties"]))
        }
        (Some("object"), _) => "object".to_owned(),
        (Some("integer"), Some(format)) => format.to_owned(),
        (Some("integer"), None) => "int64".to_owned(),
        (Some("string"), Some("byte")) => "bytes".to_owned(),
        (Some("string"), _) => "string".to_owned(),
        (Some("boolean"), _) => "boolean".to_owned(),
        (Some("number"), _) => "number".to_owned(),
        _ => "any".to_owned(),
    }
}
