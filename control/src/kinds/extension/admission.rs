//! The admissionregistration group.

use std::collections::HashSet;

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{items, list, object, object_or_new, set_default, set_zero, text};
use crate::kinds::plain::Plain;
use crate::kinds::{Kind, cells};

const WEBHOOKS: &[ColumnDef] = &[
    NAME,
    (
        "Webhooks",
        "integer",
        0,
        "Webhooks is a list of webhooks and the affected resources and operations.",
    ),
    AGE,
];
const POLICY: &[ColumnDef] = &[
    NAME,
    (
        "Validations",
        "integer",
        0,
        "Validations contain CEL expressions which are used to apply the validation.",
    ),
    (
        "ParamKind",
        "string",
        0,
        "ParamKind specifies the kind of resources used to parameterize this policy",
    ),
    AGE,
];
const BINDING: &[ColumnDef] = &[
    NAME,
    (
        "PolicyName",
        "string",
        0,
        "PolicyName indicates the policy definition which the policy binding binded to",
    ),
    (
        "ParamRef",
        "string",
        0,
        "ParamRef indicates the param resource which sets the configration param",
    ),
    AGE,
];

/// Its kinds.
pub(super) fn kinds() -> Vec<Kind> {
    let group = "admissionregistration.k8s.io/v1";
    let webhooks = |default: fn(&mut Value)| Plain {
        default,
        validate: validate_webhooks,
        generation: true,
        ..Plain::new(|object, now| {
            let count = Value::from(items(object, "/webhooks").len());
            vec![cells::name(object), count, cells::age(object, now)]
        })
    };
    let policy = Plain {
        default: default_policy,
        validate: |policy| {
            let has = |field: &str| !items(policy, &format!("/spec/{field}")).is_empty();
            if has("validations") || has("auditAnnotations") {
                return Vec::new();
            }
            let detail = "validations or auditAnnotations must contain at least one item";
            vec![FieldError::required("spec.validations", detail)]
        },
        ..Plain::with_status(|policy, now| {
            let kind = match text(policy, "/spec/paramKind/kind") {
                "" => "<unset>".to_owned(),
                kind => format!("{}/{kind}", text(policy, "/spec/paramKind/apiVersion")),
            };
            let count = Value::from(items(policy, "/spec/validations").len());
            vec![
                cells::name(policy),
                count,
                Value::from(kind),
                cells::age(policy, now),
            ]
        })
    };
    let binding = Plain {
        validate: |binding| {
            let mut errors = Vec::new();
            if text(binding, "/spec/policyName").is_empty() {
                errors.push(FieldError::required("spec.policyName", ""));
            }
            if items(binding, "/spec/validationActions").is_empty() {
                errors.push(FieldError::required("spec.validationActions", ""));
            }
            errors
        },
        generation: true,
        ..Plain::new(|binding, now| {
            let parameters = match (
                text(binding, "/spec/paramRef/name"),
                binding.pointer("/spec/paramRef/selector"),
            ) {
                ("", None) => "<unset>".to_owned(),
                ("", Some(_)) => "*/*".to_owned(),
                (name, _) => format!("{}/{name}", text(binding, "/spec/paramRef/namespace")),
            };
            vec![
                cells::name(binding),
                Value::from(text(binding, "/spec/policyName")),
                Value::from(parameters),
                cells::age(binding, now),
            ]
        })
    };
    let (mutating, validating) = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration");
    vec![
        describe::kind(
            group,
            mutating,
            "mutatingwebhookconfigurations",
            WEBHOOKS,
            webhooks(default_mutating),
        )
        .cluster()
        .extension()
        .done(),
        describe::kind(
            group,
            validating,
            "validatingwebhookconfigurations",
            WEBHOOKS,
            webhooks(default_webhooks),
        )
        .cluster()
        .extension()
        .done(),
        describe::kind(
            group,
            "ValidatingAdmissionPolicy",
            "validatingadmissionpolicies",
            POLICY,
            policy,
        )
        .cluster()
        .extension()
        .status()
        .done(),
        describe::kind(
            group,
            "ValidatingAdmissionPolicyBinding",
            "validatingadmissionpolicybindings",
            BINDING,
            binding,
        )
        .cluster()
        .extension()
        .done(),
    ]
}

fn default_mutating(object: &mut Value) {
    default_webhooks(object);
    if let Some(map) = object.as_object_mut() {
        for webhook in list(map, "webhooks") {
            set_default(webhook, "reinvocationPolicy", "Never");
        }
    }
}

fn default_webhooks(object: &mut Value) {
    let Some(map) = object.as_object_mut() else { return };
    for webhook in list(map, "webhooks") {
        set_default(webhook, "failurePolicy", "Fail");
        set_default(webhook, "matchPolicy", "Equivalent");
        set_default(webhook, "timeoutSeconds", 10);
        object_or_new(webhook, "namespaceSelector");
        object_or_new(webhook, "objectSelector");
        for rule in list(webhook, "rules") {
            set_zero(rule, "scope", "*");
        }
        if let Some(config) = webhook.get_mut("clientConfig").and_then(Value::as_object_mut)
            && let Some(service) = config.get_mut("service").and_then(Value::as_object_mut)
        {
            set_default(service, "port", 443);
        }
    }
}

fn default_policy(policy: &mut Value) {
    let Some(spec) = object(policy, "spec") else {
        return;
    };
    set_default(spec, "failurePolicy", "Fail");
    if let Some(constraints) = spec.get_mut("matchConstraints").and_then(Value::as_object_mut) {
        set_default(constraints, "matchPolicy", "Equivalent");
        object_or_new(constraints, "namespaceSelector");
        object_or_new(constraints, "objectSelector");
        for rule in list(constraints, "resourceRules") {
            set_zero(rule, "scope", "*");
        }
    }
}

fn validate_webhooks(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for (index, webhook) in items(object, "/webhooks").iter().enumerate() {
        let path = format!("webhooks[{index}]");
        let name = text(webhook, "/name");
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(format!("{path}.name"), name));
        }
        if name.split('.').count() < 3 || !names::is_dns1123_subdomain(name) {
            let detail = "should be a domain with at least three segments separated by dots";
            errors.push(FieldError::invalid(format!("{path}.name"), name, detail));
        }
        if items(webhook, "/admissionReviewVersions").is_empty() {
            let detail = "must specify one of v1, v1beta1";
            errors.push(FieldError::required(
                format!("{path}.admissionReviewVersions"),
                detail,
            ));
        }
        let effects = text(webhook, "/sideEffects");
        if effects.is_empty() {
            let detail = "must specify one of None, NoneOnDryRun";
            errors.push(FieldError::required(format!("{path}.sideEffects"), detail));
        } else if !matches!(effects, "None" | "NoneOnDryRun") {
            let path = format!("{path}.sideEffects");
            errors.push(FieldError::not_supported(
                path,
                effects,
                &["None", "NoneOnDryRun"],
            ));
        }
        let has = |field: &str| webhook.pointer(&format!("/clientConfig/{field}")).is_some();
        if has("url") == has("service") {
            let detail = "exactly one of url or service is required";
            errors.push(FieldError::required(format!("{path}.clientConfig"), detail));
        }
    }
    errors
}
