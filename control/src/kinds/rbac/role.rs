//! Roles and ClusterRoles: lists of rules.

use keelson_api::selector::Selector;
use keelson_api::status::FieldError;
use serde_json::Value;

use crate::kinds::apps::workload::label_selector;
use crate::kinds::describe::{self, CREATED_AT, ColumnDef, NAME};
use crate::kinds::json::{is_unset, items};
use crate::kinds::{Kind, Strategy, cells};

const COLUMNS: &[ColumnDef] = &[NAME, CREATED_AT];

pub(super) fn role() -> Kind {
    describe::kind(
        "rbac.authorization.k8s.io/v1",
        "Role",
        "roles",
        COLUMNS,
        Role { namespaced: true },
    )
    .done()
}

pub(super) fn cluster_role() -> Kind {
    let strategy = Role { namespaced: false };
    describe::kind(
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        "clusterroles",
        COLUMNS,
        strategy,
    )
    .cluster()
    .done()
}

#[derive(Debug)]
struct Role {
    namespaced: bool,
}

impl Strategy for Role {
    fn default(&self, object: &mut Value) {
        // Upstream's type writes `rules: null` for none; an empty list reads the same and is easier to patch.
        if let Some(map) = object.as_object_mut()
            && map.get("rules").is_none_or(Value::is_null)
            && is_unset(map.get("aggregationRule"))
        {
            map.insert("rules".to_owned(), Value::Array(Vec::new()));
        }
    }

    fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let Some(aggregation) = object.get("aggregationRule").filter(|rule| rule.is_object()) {
            let path = "aggregationRule.clusterRoleSelectors";
            let selectors = items(aggregation, "/clusterRoleSelectors");
            if selectors.is_empty() {
                let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
                errors.push(FieldError::required(path, detail));
            }
            for (index, selector) in selectors.iter().enumerate() {
                let path = format!("{path}[{index}]");
                label_selector(&mut errors, selector, &path);
                if Selector::from_label_selector(selector).is_err() {
                    errors.push(FieldError::invalid(path, Value::Null, "invalid label selector."));
                }
            }
        }
        for (index, rule) in items(object, "/rules").iter().enumerate() {
            self.rule(&mut errors, rule, &format!("rules[{index}]"));
        }
        errors
    }

    fn validate_update(&self, _: Option<&str>, _: &Value, new: &Value) -> Vec<FieldError> {
        self.validate_create(new)
    }

    fn row(&self, object: &Value, _: i64) -> Vec<Value> {
        vec![cells::name(object), cells::created_at(object)]
    }
}

impl Role {
    fn rule(&self, errors: &mut Vec<FieldError>, rule: &Value, path: &str) {
        if is_unset(rule.get("verbs")) {
            let detail = "verbs must contain at least one value";
            errors.push(FieldError::required(format!("{path}.verbs"), detail));
        }
        let urls = items(rule, "/nonResourceURLs");
        let any = |field: &str| !is_unset(rule.get(field));
        if !urls.is_empty() {
            if self.namespaced {
                let detail = "namespaced rules cannot apply to non-resource URLs";
                let urls = rule.get("nonResourceURLs").cloned().unwrap_or_default();
                errors.push(FieldError::invalid(
                    format!("{path}.nonResourceURLs"),
                    urls,
                    detail,
                ));
            }
            if any("apiGroups") || any("resources") || any("resourceNames") {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                let urls = rule.get("nonResourceURLs").cloned().unwrap_or_default();
                errors.push(FieldError::invalid(
                    format!("{path}.nonResourceURLs"),
                    urls,
                    detail,
                ));
            }
            return;
        }
        if !any("apiGroups") {
            let detail = "resource rules must supply at least one api group";
            errors.push(FieldError::required(format!("{path}.apiGroups"), detail));
        }
        if !any("resources") {
            let detail = "resource rules must supply at least one resource";
            errors.push(FieldError::required(format!("{path}.resources"), detail));
        }
    }
}
