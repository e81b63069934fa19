//! RoleBindings and ClusterRoleBindings: a role, and who has it.

use keelson_api::names;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::describe::{self, AGE, ColumnDef, NAME};
use crate::kinds::json::{items, list, object_or_new, set_zero, text};
use crate::kinds::{Kind, Strategy, cells};

const GROUP: &str = "rbac.authorization.k8s.io";

const COLUMNS: &[ColumnDef] = &[
    NAME,
    (
        "Role",
        "string",
        0,
        "RoleRef references the role that the subjects have.",
    ),
    AGE,
    ("Users", "string", 1, "Users in the binding"),
    ("Groups", "string", 1, "Groups in the binding"),
    ("ServiceAccounts", "string", 1, "ServiceAccounts in the binding"),
];

pub(super) fn role_binding() -> Kind {
    let strategy = Binding { namespaced: true };
    describe::kind(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "rolebindings",
        COLUMNS,
        strategy,
    )
    .done()
}

pub(super) fn cluster_role_binding() -> Kind {
    let (name, plural) = ("ClusterRoleBinding", "clusterrolebindings");
    describe::kind(
        "rbac.authorization.k8s.io/v1",
        name,
        plural,
        COLUMNS,
        Binding { namespaced: false },
    )
    .cluster()
    .done()
}

#[derive(Debug)]
struct Binding {
    namespaced: bool,
}

impl Strategy for Binding {
    fn default(&self, binding: &mut Value) {
        let Some(map) = binding.as_object_mut() else {
            return;
        };
        if let Some(role) = object_or_new(map, "roleRef") {
            set_zero(role, "apiGroup", GROUP);
        }
        for subject in list(map, "subjects") {
            if matches!(
                subject.get("kind").and_then(Value::as_str),
                Some("User" | "Group")
            ) {
                set_zero(subject, "apiGroup", GROUP);
            }
        }
    }

    fn validate_create(&self, binding: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let group = text(binding, "/roleRef/apiGroup");
        if group != GROUP {
            errors.push(FieldError::not_supported("roleRef.apiGroup", group, &[GROUP]));
        }
        let kind = text(binding, "/roleRef/kind");
        let allowed: &[&str] = if self.namespaced {
            &["Role", "ClusterRole"]
        } else {
            &["ClusterRole"]
        };
        if !allowed.contains(&kind) {
            errors.push(FieldError::not_supported("roleRef.kind", kind, allowed));
        }
        let name = text(binding, "/roleRef/name");
        if name.is_empty() {
            errors.push(FieldError::required("roleRef.name", ""));
        } else {
            errors.extend(FieldError::complaints(
                "roleRef.name",
                name,
                names::path_segment(name),
            ));
        }
        for (index, one) in items(binding, "/subjects").iter().enumerate() {
            subject(&mut errors, one, &format!("subjects[{index}]"), self.namespaced);
        }
        errors
    }

    fn validate_update(&self, _: Option<&str>, old: &Value, new: &Value) -> Vec<FieldError> {
        let mut errors = self.validate_create(new);
        if old.get("roleRef") != new.get("roleRef") {
            let part = |field: &str| keelson_api::status::go_quote(text(new, &format!("/roleRef/{field}")));
            let shown = format!(
                "rbac.RoleRef{{APIGroup:{}, Kind:{}, Name:{}}}",
                part("apiGroup"),
                part("kind"),
                part("name")
            );
            errors.push(FieldError::invalid_shown(
                "roleRef",
                &shown,
                "cannot change roleRef",
            ));
        }
        errors
    }

    fn row(&self, binding: &Value, now: i64) -> Vec<Value> {
        let role = format!(
            "{}/{}",
            text(binding, "/roleRef/kind"),
            text(binding, "/roleRef/name")
        );
        let who = |kind: &str| {
            let names: Vec<String> = items(binding, "/subjects")
                .iter()
                .filter(|subject| text(subject, "/kind") == kind)
                .map(|subject| match (kind, text(subject, "/namespace")) {
                    ("ServiceAccount", namespace) if !namespace.is_empty() => {
                        format!("{namespace}/{}", text(subject, "/name"))
                    }
                    _ => text(subject, "/name").to_owned(),
                })
                .collect();
            Value::from(names.join(", "))
        };
        vec![
            cells::name(binding),
            Value::from(role),
            cells::age(binding, now),
            who("User"),
            who("Group"),
            who("ServiceAccount"),
        ]
    }
}

fn subject(errors: &mut Vec<FieldError>, subject: &Value, path: &str, namespaced: bool) {
    let (kind, name, group) = (
        text(subject, "/kind"),
        text(subject, "/name"),
        text(subject, "/apiGroup"),
    );
    if name.is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    }
    match kind {
        "ServiceAccount" => {
            if !name.is_empty() {
                errors.extend(FieldError::complaints(
                    format_args!("{path}.name"),
                    name,
                    names::dns1123_subdomain(name),
                ));
            }
            if !group.is_empty() {
                errors.push(FieldError::not_supported(
                    format!("{path}.apiGroup"),
                    group,
                    &[""],
                ));
            }
            if !namespaced && text(subject, "/namespace").is_empty() {
                errors.push(FieldError::required(format!("{path}.namespace"), ""));
            }
        }
        "User" | "Group" => {
            if group != GROUP {
                errors.push(FieldError::not_supported(
                    format!("{path}.apiGroup"),
                    group,
                    &[GROUP],
                ));
            }
        }
        other => {
            let allowed = ["ServiceAccount", "User", "Group"];
            errors.push(FieldError::not_supported(format!("{path}.kind"), other, &allowed));
        }
    }
}
