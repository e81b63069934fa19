//! The admissionregistration group.

mod policies;
mod webhooks;

use serde_json::{Map, Value};

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{items, list, object, object_or_new, set_default, text};
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
    let hooks = |default: fn(&mut Value)| Plain {
        default,
        validate: webhooks::check,
        generation: Some("webhooks"),
        ..Plain::new(|object, now| {
            let count = Value::from(items(object, "/webhooks").len());
            vec![cells::name(object), count, cells::age(object, now)]
        })
    };
    let policy = Plain {
        default: default_policy,
        validate: policies::policy,
        labels_with_status: false,
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
        default: default_binding,
        validate: policies::binding,
        generation: Some("spec"),
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
            hooks(default_mutating),
        )
        .cluster()
        .extension()
        .done(),
        describe::kind(
            group,
            validating,
            "validatingwebhookconfigurations",
            WEBHOOKS,
            hooks(default_webhooks),
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
            set_default(rule, "scope", "*");
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
    default_matching(spec, "matchConstraints");
}

fn default_binding(binding: &mut Value) {
    if let Some(spec) = object(binding, "spec") {
        default_matching(spec, "matchResources");
    }
}

/// Fills in what a policy or a binding says of the resources that it is about, if it says something.
fn default_matching(spec: &mut Map<String, Value>, field: &str) {
    let Some(resources) = spec.get_mut(field).and_then(Value::as_object_mut) else {
        return;
    };
    set_default(resources, "matchPolicy", "Equivalent");
    object_or_new(resources, "namespaceSelector");
    object_or_new(resources, "objectSelector");
    for rules in ["resourceRules", "excludeResourceRules"] {
        for rule in list(resources, rules) {
            set_default(rule, "scope", "*");
        }
    }
}
