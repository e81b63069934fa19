//! CustomResourceDefinitions and APIServices.

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::describe::{self, AGE, CREATED_AT, ColumnDef, NAME};
use crate::kinds::json::{items, object, object_or_new, set_default, set_zero, text};
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells};

const SERVICE: &[ColumnDef] = &[
    NAME,
    (
        "Service",
        "string",
        0,
        "The reference to the service that hosts this API endpoint.",
    ),
    ("Available", "string", 0, "Whether this service is available."),
    AGE,
];

/// Its kinds.
pub(super) fn kinds() -> Vec<Kind> {
    let definition = Plain {
        default: default_definition,
        validate: validate_definition,
        ..Plain::with_status(|object, _| vec![cells::name(object), cells::created_at(object)])
    };
    let service = Plain {
        default: |service| {
            if let Some(spec) = object(service, "spec")
                && let Some(service) = spec.get_mut("service").and_then(Value::as_object_mut)
            {
                set_default(service, "port", 443);
            }
        },
        validate: validate_service,
        generation: false,
        ..Plain::with_status(service_row)
    };
    let (name, plural) = ("CustomResourceDefinition", "customresourcedefinitions");
    vec![
        describe::kind(
            "apiextensions.k8s.io/v1",
            name,
            plural,
            &[NAME, CREATED_AT],
            definition,
        )
        .cluster()
        .short(&["crd", "crds"])
        .extension()
        .status()
        .done(),
        describe::kind(
            "apiregistration.k8s.io/v1",
            "APIService",
            "apiservices",
            SERVICE,
            service,
        )
        .cluster()
        .extension()
        .status()
        .done(),
    ]
}

fn default_definition(definition: &mut Value) {
    let Some(spec) = object(definition, "spec") else {
        return;
    };
    set_zero(spec, "scope", "Namespaced");
    if let Some(conversion) = object_or_new(spec, "conversion") {
        set_zero(conversion, "strategy", "None");
    }
    if let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) {
        let kind = names
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if !kind.is_empty() {
            set_zero(names, "singular", kind.to_lowercase());
            set_zero(names, "listKind", format!("{kind}List"));
        }
    }
}

fn validate_definition(definition: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (group, plural) = (
        text(definition, "/spec/group"),
        text(definition, "/spec/names/plural"),
    );
    let name = text(definition, "/metadata/name");
    if name != format!("{plural}.{group}") {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid("metadata.name", name, detail));
    }
    if group.is_empty() {
        errors.push(FieldError::required("spec.group", ""));
    } else if !group.contains('.') {
        errors.push(FieldError::invalid(
            "spec.group",
            group,
            "should be a domain with at least one dot",
        ));
    } else {
        for complaint in names::dns1123_subdomain(group) {
            errors.push(FieldError::invalid("spec.group", group, &complaint));
        }
    }
    for field in ["plural", "kind"] {
        if text(definition, &format!("/spec/names/{field}")).is_empty() {
            errors.push(FieldError::required(format!("spec.names.{field}"), ""));
        }
    }
    let scope = text(definition, "/spec/scope");
    if !matches!(scope, "Cluster" | "Namespaced") {
        errors.push(FieldError::not_supported(
            "spec.scope",
            scope,
            &["Cluster", "Namespaced"],
        ));
    }
    let versions = items(definition, "/spec/versions");
    let stored = versions
        .iter()
        .filter(|version| version.get("storage") == Some(&Value::Bool(true)))
        .count();
    if stored != 1 {
        let detail = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid(
            "spec.versions",
            Value::from(versions.to_vec()),
            detail,
        ));
    }
    for (index, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{index}]");
        let name = text(version, "/name");
        for complaint in names::dns1035_label(name) {
            errors.push(FieldError::invalid(format!("{path}.name"), name, &complaint));
        }
        if version.pointer("/schema/openAPIV3Schema").is_none() {
            errors.push(FieldError::required(
                format!("{path}.schema.openAPIV3Schema"),
                "schemas are required",
            ));
        }
    }
    errors
}

fn validate_service(service: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (group, version) = (text(service, "/spec/group"), text(service, "/spec/version"));
    let expected = format!("{version}.{group}");
    if text(service, "/metadata/name") != expected {
        let name = text(service, "/metadata/name");
        let detail = format!(
            "must be `spec.version+\".\"+spec.group`: {}",
            keelson_api::status::go_quote(&expected)
        );
        errors.push(FieldError::invalid("metadata.name", name, &detail));
    }
    for (field, least, most) in [("groupPriorityMinimum", 1, 20_000), ("versionPriority", 1, 1000)] {
        let value = crate::kinds::json::int(service, &format!("/spec/{field}")).unwrap_or(0);
        if !(least..=most).contains(&value) {
            let detail = format!("must be positive and less than {most}");
            errors.push(FieldError::invalid(format!("spec.{field}"), value, &detail));
        }
    }
    errors
}

fn service_row(service: &Value, now: i64) -> Vec<Value> {
    let target = match text(service, "/spec/service/name") {
        "" => "Local".to_owned(),
        name => format!("{}/{name}", text(service, "/spec/service/namespace")),
    };
    let available = items(service, "/status/conditions")
        .iter()
        .find(|c| text(c, "/type") == "Available");
    let available = available.map_or_else(
        || "Unknown".to_owned(),
        |condition| match (text(condition, "/status"), text(condition, "/reason")) {
            ("True", _) => "True".to_owned(),
            (status, reason) => format!("{status} ({reason})"),
        },
    );
    vec![
        cells::name(service),
        Value::from(target),
        Value::from(available),
        cells::age(service, now),
    ]
}
