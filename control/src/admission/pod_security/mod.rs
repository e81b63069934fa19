//! PodSecurity: the Pod Security Standards that a namespace's labels demand.
//!
//! `enforce` refuses pods; `warn` answers with a warning, for pods and for everything with a pod template. `audit`
//! adds annotations to the audit log, and there is no audit log yet, so it has no effect. The versions of the
//! standards that labels can pin differ in nothing that is checked here from the latest, which is what counts.
//!
//! Source: `k8s.io/pod-security-admission`.

mod baseline;
mod namespaces;
mod restricted;
#[cfg(test)]
mod tests;

use keelson_api::status::{Status, go_quote};
use serde_json::Value;

use super::fields::{items, text};
use super::{Context, Operation, Request};
use crate::auth::resources::NAMESPACES;

const PREFIX: &str = "pod-security.kubernetes.io/";

/// One of the standards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// Where the pod template is in what holds one.
const TEMPLATES: [(&str, &str, &str); 8] = [
    ("", "podtemplates", "/template"),
    ("", "replicationcontrollers", "/spec/template"),
    ("apps", "daemonsets", "/spec/template"),
    ("apps", "deployments", "/spec/template"),
    ("apps", "replicasets", "/spec/template"),
    ("apps", "statefulsets", "/spec/template"),
    ("batch", "jobs", "/spec/template"),
    ("batch", "cronjobs", "/spec/jobTemplate/spec/template"),
];

pub fn validate(context: &Context, request: &Request<'_>) -> Result<Vec<String>, Status> {
    if !matches!(request.operation, Operation::Create | Operation::Update) {
        return Ok(Vec::new());
    }
    if request.is("", "namespaces") {
        return namespaces::validate(context, request);
    }
    let is_pod = request.kind.group.is_empty()
        && request.kind.plural == "pods"
        && matches!(request.subresource, "" | "ephemeralcontainers");
    let template = TEMPLATES
        .iter()
        .find(|(group, plural, _)| request.is(group, plural))
        .map(|(.., path)| *path);
    let pod = match (is_pod, template) {
        (true, _) => request.object(),
        (false, Some(path)) => request.object().pointer(path).unwrap_or(&Value::Null),
        (false, None) => return Ok(Vec::new()),
    };
    // A pod that is there may always lose a finalizer or get a label.
    if is_pod
        && request.operation == Operation::Update
        && request.stored()["spec"] == request.object()["spec"]
    {
        return Ok(Vec::new());
    }
    let Some(namespace) = context.reader.get(&NAMESPACES, "", request.namespace) else {
        return Ok(Vec::new());
    };
    let level = |mode: &str| level(namespace.labels.get(&format!("{PREFIX}{mode}")), mode);
    let version = |mode: &str| {
        let label = namespace.labels.get(&format!("{PREFIX}{mode}-version"));
        label.unwrap_or("latest").to_owned()
    };
    if is_pod {
        let problems = evaluate(level("enforce"), pod);
        if !problems.is_empty() {
            let policy = go_quote(&format!("{}:{}", name(level("enforce")), version("enforce")));
            return Err(request.forbidden(&format!("violates PodSecurity {policy}: {}", problems.join(", "))));
        }
    }
    let problems = evaluate(level("warn"), pod);
    if problems.is_empty() {
        return Ok(Vec::new());
    }
    let policy = go_quote(&format!("{}:{}", name(level("warn")), version("warn")));
    Ok(vec![format!(
        "would violate PodSecurity {policy}: {}",
        problems.join(", ")
    )])
}

/// The level that a label demands. One that is not understood counts as the strictest when it would enforce, as
/// upstream does, and as none when it would only warn.
fn level(label: Option<&str>, mode: &str) -> Level {
    match label {
        None | Some("privileged") => Level::Privileged,
        Some("baseline") => Level::Baseline,
        Some("restricted") => Level::Restricted,
        Some(_) if mode == "enforce" => Level::Restricted,
        Some(_) => Level::Privileged,
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Privileged => "privileged",
        Level::Baseline => "baseline",
        Level::Restricted => "restricted",
    }
}

/// Everything about the pod that the level does not allow.
fn evaluate(level: Level, pod: &Value) -> Vec<String> {
    let checks: Vec<fn(&Value) -> Option<String>> = match level {
        Level::Privileged => Vec::new(),
        Level::Baseline => baseline::CHECKS.iter().map(|(check, _)| *check).collect(),
        Level::Restricted => {
            let kept = baseline::CHECKS
                .iter()
                .filter(|(_, kept)| *kept)
                .map(|(check, _)| *check);
            kept.chain(restricted::CHECKS.iter().copied()).collect()
        }
    };
    checks.into_iter().filter_map(|check| check(pod)).collect()
}

/// All containers of a pod: init, ordinary, ephemeral.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    [
        "/spec/initContainers",
        "/spec/containers",
        "/spec/ephemeralContainers",
    ]
    .into_iter()
    .flat_map(|list| items(pod, list))
}

/// The names of the containers of which `bad` is true.
fn bad_containers(pod: &Value, bad: impl Fn(&Value) -> bool) -> Vec<&str> {
    containers(pod)
        .filter(|container| bad(container))
        .map(|container| text(container, "/name"))
        .collect()
}

/// `container "a"` or `containers "a", "b"`.
fn named(word: &str, names: &[&str]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{word}{plural} {}", quoted(names))
}

fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| go_quote(name))
        .collect::<Vec<_>>()
        .join(", ")
}
