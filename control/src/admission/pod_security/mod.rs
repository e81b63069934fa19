//! PodSecurity: the Pod Security Standards that a namespace's labels demand.
//!
//! `enforce` refuses pods; `warn` answers with a warning, for pods and for everything with a pod template. `audit`
//! adds annotations to the audit log, and there is no audit log yet, so it has no effect. Labels can pin the version of
//! a standard; a version newer than this server's counts as the latest. [`Settings`] has the cluster's defaults, and what is
//! exempt.
//!
//! Source: `k8s.io/pod-security-admission`.

mod baseline;
mod namespaces;
mod policy;
mod restricted;
mod settings;
#[cfg(test)]
mod tests;

use keelson_api::status::{Status, go_quote};
use serde_json::Value;

use super::fields::{items, text};
use super::{Context, Operation, Request};
use crate::auth::resources::NAMESPACES;

#[cfg(test)]
use policy::LATEST;
use policy::{Level, Policies, Policy};
pub use settings::Settings;

/// Name of the plug-in.
pub const NAME: &str = "PodSecurity";
const PREFIX: &str = "pod-security.kubernetes.io/";

/// A check of a pod; some differ by version.
#[derive(Clone, Copy)]
pub enum Check {
    /// Without regard to the version.
    Always(fn(&Value) -> Option<String>),
    /// By the minor version.
    Versioned(fn(&Value, u32) -> Option<String>),
}

impl Check {
    fn run(self, pod: &Value, minor: u32) -> Option<String> {
        match self {
            Self::Always(check) => check(pod),
            Self::Versioned(check) => check(pod, minor),
        }
    }
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
    let settings = &context.pod_security;
    if settings.is_exempt_namespace(request.namespace)
        || settings.is_exempt_user(&request.user.name)
        || settings.is_exempt_pod(pod)
    {
        return Ok(Vec::new());
    }
    let Some(namespace) = context.reader.get(&NAMESPACES, "", request.namespace) else {
        return Ok(Vec::new());
    };
    let label = |key: &str| namespace.labels.get(&format!("{PREFIX}{key}"));
    let Policies { enforce, warn, .. } = Policies::of(label, &settings.defaults);
    let shown = |policy: Policy| go_quote(&policy.to_string());
    if is_pod {
        let problems = evaluate(enforce, pod);
        if !problems.is_empty() {
            let policy = shown(enforce);
            return Err(request.forbidden(&format!("violates PodSecurity {policy}: {}", problems.join(", "))));
        }
    }
    let problems = evaluate(warn, pod);
    if problems.is_empty() {
        return Ok(Vec::new());
    }
    let policy = shown(warn);
    Ok(vec![format!(
        "would violate PodSecurity {policy}: {}",
        problems.join(", ")
    )])
}

/// Everything about the pod that the policy does not allow.
fn evaluate(policy: Policy, pod: &Value) -> Vec<String> {
    let Policy { level, minor } = policy;
    let baseline = baseline::CHECKS.iter().filter(|(_, replaced)| {
        // A stricter check takes its place, from the version on that has one.
        level == Level::Baseline || replaced.is_none_or(|since| minor < since)
    });
    let restricted = restricted::CHECKS.iter().filter(|(_, since)| minor >= *since);
    let mut checks = Vec::new();
    if level >= Level::Baseline {
        checks.extend(baseline.map(|(check, _)| *check));
    }
    if level == Level::Restricted {
        checks.extend(restricted.map(|(check, _)| *check));
    }
    checks
        .into_iter()
        .filter_map(|check| check.run(pod, minor))
        .collect()
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
