//! The labels themselves: what is wrong with them, and which pods are there already that a stricter level would not
//! have let in.

use std::collections::BTreeMap;

use keelson_api::status::{FieldError, Status, go_quote};
use serde_json::Value;

use super::{Level, PREFIX, Policy, evaluate, name};
use crate::admission::fields::text;
use crate::admission::{Context, Request};
use crate::auth::resources::PODS;

/// So many pods are looked at for warnings; upstream's limit.
const MAX_PODS: usize = 3000;

pub fn validate(context: &Context, request: &Request<'_>) -> Result<Vec<String>, Status> {
    let label = |object: &Value, key: &str| {
        object["metadata"]["labels"][format!("{PREFIX}{key}")]
            .as_str()
            .map(str::to_owned)
    };
    let mut errors = Vec::new();
    for mode in ["enforce", "audit", "warn"] {
        let field = |key: &str| format!("metadata.labels[{PREFIX}{key}]");
        let wrong = |value: &str| !matches!(value, "privileged" | "baseline" | "restricted");
        if let Some(value) = label(request.object(), mode).filter(|value| wrong(value)) {
            errors.push(FieldError::invalid(
                field(mode),
                value,
                "must be one of privileged, baseline, restricted",
            ));
        }
        let key = format!("{mode}-version");
        if let Some(value) = label(request.object(), &key).filter(|value| !is_version(value)) {
            let detail = "must be \"latest\" or \"v1.x\"";
            errors.push(FieldError::invalid(field(&key), value, detail));
        }
    }
    // Labels that were wrong before must not keep the namespace from being changed or deleted.
    let was = |mode: &str| label(request.stored(), mode);
    let is = |mode: &str| label(request.object(), mode);
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
    if !errors.is_empty() {
        let name = text(request.object(), "/metadata/name");
        return Err(Status::invalid("", "Namespace", name, &errors));
    }
    let policy = |label: &dyn Fn(&str) -> Option<String>| {
        Policy::of(
            label("enforce").as_deref(),
            label("enforce-version").as_deref(),
            "enforce",
        )
    };
    let (old, new) = (policy(&was), policy(&is));
    // A weaker level lets in whatever was let in before; of another version nobody knows without looking.
    let weaker = new.minor == old.minor && new.level <= old.level;
    let stays = weaker || new.level == Level::Privileged;
    if request.old.is_none() || stays {
        return Ok(Vec::new());
    }
    let mut violations: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pod in context
        .reader
        .list(&PODS, Some(request.name))
        .iter()
        .take(MAX_PODS)
    {
        let problems: Vec<String> = evaluate(new, &pod.value())
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
    let policy = go_quote(&format!(
        "{}:{}",
        name(new.level),
        is("enforce-version").as_deref().unwrap_or("latest")
    ));
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

fn is_version(value: &str) -> bool {
    value == "latest"
        || value
            .strip_prefix("v1.")
            .is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|digit| digit.is_ascii_digit()))
}
