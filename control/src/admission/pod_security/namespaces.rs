//! The labels themselves: what is wrong with them, and which pods are there already that a stricter level would not
//! have let in.

use std::collections::BTreeMap;

use keelson_api::status::{FieldError, Status, go_quote};
use serde_json::Value;

use super::{Level, PREFIX, Policies, Policy, evaluate};
use crate::admission::fields::text;
use crate::admission::{Context, Request};
use crate::auth::resources::PODS;

/// So many pods are looked at for warnings; upstream's limit.
const MAX_PODS: usize = 3000;

pub fn validate(context: &Context, request: &Request<'_>) -> Result<Vec<String>, Status> {
    let was = |key: &str| label(request.stored(), key);
    let is = |key: &str| label(request.object(), key);
    let keys = [
        "enforce",
        "audit",
        "warn",
        "enforce-version",
        "audit-version",
        "warn-version",
    ];
    if keys.iter().all(|key| was(key) == is(key)) {
        return Ok(Vec::new());
    }
    let errors = new_mistakes(was, is);
    if !errors.is_empty() {
        let name = text(request.object(), "/metadata/name");
        return Err(Status::invalid("", "Namespace", name, &errors));
    }
    let settings = &context.pod_security;
    let (old, policies) = (
        Policies::of(was, &settings.defaults).enforce,
        Policies::of(is, &settings.defaults),
    );
    let new = policies.enforce;
    // A weaker level lets in whatever was let in before; of another version nobody knows without looking.
    let weaker = new.minor == old.minor && new.level <= old.level;
    if request.old.is_some() && (weaker || new.level == Level::Privileged) {
        return Ok(Vec::new());
    }
    if settings.is_exempt_namespace(request.name) {
        return Ok(ignored(request.name, &policies, &settings.defaults, is)
            .into_iter()
            .collect());
    }
    if request.old.is_none() {
        return Ok(Vec::new());
    }
    let mut violations: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pod in context
        .reader
        .list(&PODS, Some(request.name))
        .iter()
        .take(MAX_PODS)
    {
        let pod_value = pod.value();
        if settings.is_exempt_pod(&pod_value) {
            continue;
        }
        let problems: Vec<String> = evaluate(new, &pod_value)
            .iter()
            .map(|problem| short(problem))
            .collect();
        if !problems.is_empty() {
            violations
                .entry(problems.join(", "))
                .or_default()
                .push(pod.name.clone());
        }
    }
    if violations.is_empty() {
        return Ok(Vec::new());
    }
    let policy = go_quote(&new.to_string());
    let namespace = go_quote(request.name);
    let mut warnings = vec![format!(
        "existing pods in namespace {namespace} violate the new PodSecurity enforce level {policy}"
    )];
    for (problems, pods) in violations {
        let others = match pods.len() {
            1 => String::new(),
            2 => " (and 1 other pod)".to_owned(),
            count => format!(" (and {} other pods)", count - 1),
        };
        warnings.push(format!("{}{others}: {problems}", pods[0]));
    }
    Ok(warnings)
}

/// The problem without its details.
fn short(problem: &str) -> String {
    problem
        .split_once(" (")
        .map_or(problem, |(short, _)| short)
        .to_owned()
}

/// What is wrong with the labels, unless the same was wrong before: that must not keep the namespace from being changed or
/// deleted.
fn new_mistakes<'a>(
    was: impl Fn(&str) -> Option<&'a str>,
    is: impl Fn(&str) -> Option<&'a str>,
) -> Vec<FieldError> {
    let mut errors = mistakes(is);
    if errors == mistakes(was) {
        errors.clear();
    }
    errors
}

/// What is wrong with the labels.
fn mistakes<'a>(label: impl Fn(&str) -> Option<&'a str>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for mode in ["enforce", "audit", "warn"] {
        let field = |key: &str| format!("metadata.labels[{PREFIX}{key}]");
        if let Some(value) = label(mode)
            && let Err(why) = Policy::level(value)
        {
            errors.push(FieldError::invalid(field(mode), value, why));
        }
        let key = format!("{mode}-version");
        if let Some(value) = label(&key)
            && let Err(why) = Policy::version(value)
        {
            errors.push(FieldError::invalid(field(&key), value, why));
        }
    }
    errors
}

/// The value of one of the labels.
fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"][format!("{PREFIX}{key}")].as_str()
}

/// Warns about labels of an exempt namespace that forbid something.
fn ignored<'a>(
    name: &str,
    policies: &Policies,
    defaults: &Policies,
    label: impl Fn(&str) -> Option<&'a str>,
) -> Option<String> {
    if policies.is_privileged() || policies.is_equivalent(defaults) {
        return None;
    }
    let modes = [
        ("enforce", policies.enforce),
        ("audit", policies.audit),
        ("warn", policies.warn),
    ];
    let said = |mode: &str| label(mode).is_some() || label(&format!("{mode}-version")).is_some();
    let shown: Vec<String> = modes
        .iter()
        .filter(|(mode, policy)| policy.level != Level::Privileged && said(mode))
        .map(|(mode, policy)| format!("{mode}={policy}"))
        .collect();
    Some(format!(
        "namespace {} is exempt from Pod Security, and the policy ({}) will be ignored",
        go_quote(name),
        shown.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_mistakes_stay_and_new_ones_do_not_come() {
        let lookup = |labels: &'static [(&str, &str)]| {
            move |key: &str| {
                labels
                    .iter()
                    .find_map(|(name, value)| (*name == key).then_some(*value))
            }
        };
        let fields = |was, is| -> Vec<String> {
            new_mistakes(lookup(was), lookup(is))
                .into_iter()
                .map(|error| error.field)
                .collect()
        };
        let typo: &[_] = &[("enforce", "typo")];
        assert_eq!(
            fields(&[], typo),
            ["metadata.labels[pod-security.kubernetes.io/enforce]"]
        );
        assert!(fields(typo, &[("enforce", "typo"), ("warn", "baseline")]).is_empty());
        assert!(fields(typo, &[]).is_empty());
        assert_eq!(fields(typo, &[("enforce", "other")]).len(), 1);
        assert_eq!(
            fields(typo, &[("enforce", "typo"), ("warn-version", "x")]).len(),
            2
        );
    }
}
