//! Classes of ingresses.

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use super::ingress::local_reference;
use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{object, set_default, text};
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells};

const CLASS: &[ColumnDef] = &[
    NAME,
    (
        "Controller",
        "string",
        0,
        "Controller that is responsible for handling this class",
    ),
    (
        "Parameters",
        "string",
        0,
        "A reference to a resource with additional parameters",
    ),
    AGE,
];

/// Most bytes of a controller's name.
const LONGEST_CONTROLLER: usize = 250;

pub(super) fn kind() -> Kind {
    let strategy = Plain {
        default: |class| {
            if let Some(spec) = object(class, "spec")
                && let Some(parameters) = spec.get_mut("parameters").and_then(Value::as_object_mut)
            {
                set_default(parameters, "scope", "Cluster");
            }
        },
        validate: |class| {
            let mut errors = Vec::new();
            let controller = text(class, "/spec/controller");
            if controller.len() > LONGEST_CONTROLLER {
                errors.push(FieldError::too_long("spec.controller", LONGEST_CONTROLLER));
            }
            check_controller(&mut errors, controller, "spec.controller");
            if let Some(parameters) = class.pointer("/spec/parameters").filter(|one| one.is_object()) {
                check_parameters(&mut errors, parameters);
            }
            errors
        },
        change: |old, new| {
            if old.pointer("/spec/controller") == new.pointer("/spec/controller") {
                return Vec::new();
            }
            let controller = text(new, "/spec/controller");
            vec![FieldError::invalid(
                "spec.controller",
                controller,
                names::IMMUTABLE,
            )]
        },
        generation: Some("spec"),
        ..Plain::new(|class, now| {
            let parameters = class
                .pointer("/spec/parameters")
                .filter(|parameters| parameters.is_object());
            let parameters = parameters.map_or_else(
                || "<none>".to_owned(),
                |parameters| {
                    let group = text(parameters, "/apiGroup");
                    let dot = if group.is_empty() { "" } else { "." };
                    format!(
                        "{}{dot}{group}/{}",
                        text(parameters, "/kind"),
                        text(parameters, "/name")
                    )
                },
            );
            vec![
                cells::name(class),
                Value::from(text(class, "/spec/controller")),
                Value::from(parameters),
                cells::age(class, now),
            ]
        })
    };
    describe::kind(
        "networking.k8s.io/v1",
        "IngressClass",
        "ingressclasses",
        CLASS,
        strategy,
    )
    .cluster()
    .done()
}

/// A domain, and a path on its server (`IsDomainPrefixedPath`).
fn check_controller(errors: &mut Vec<FieldError>, controller: &str, path: &str) {
    if controller.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let (domain, rest) = controller.split_once('/').unwrap_or_default();
    if domain.is_empty() || rest.is_empty() {
        let detail = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        errors.push(FieldError::invalid(path, controller, detail));
        return;
    }
    errors.extend(FieldError::complaints(
        path,
        domain,
        names::dns1123_subdomain(domain),
    ));
    let of_paths = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
    if !rest.chars().all(of_paths) {
        let detail = r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')";
        errors.push(FieldError::invalid(path, rest, detail));
    }
}

/// The parameters of an IngressClass: of the whole cluster, or in one namespace.
fn check_parameters(errors: &mut Vec<FieldError>, parameters: &Value) {
    let path = "spec.parameters";
    local_reference(errors, parameters, path);
    let namespace = parameters.get("namespace").and_then(Value::as_str);
    let at = format!("{path}.namespace");
    match (text(parameters, "/scope"), namespace) {
        ("Namespace", None) => {
            let detail = "`parameters.scope` is set to 'Namespace'";
            errors.push(FieldError::required(at, detail));
        }
        ("Namespace", Some(namespace)) => {
            errors.extend(FieldError::complaints(
                &at,
                namespace,
                names::dns1123_label(namespace),
            ));
        }
        ("Cluster", Some(_)) => {
            let detail = "`parameters.scope` is set to 'Cluster'";
            errors.push(FieldError::forbidden(at, detail));
        }
        ("Cluster", None) => {}
        (other, _) => errors.push(FieldError::not_supported(
            format!("{path}.scope"),
            other,
            &["Cluster", "Namespace"],
        )),
    }
}
