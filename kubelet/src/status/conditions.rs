//! `status.conditions`: the five that the kubelet owns.

use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::pod::state::{Now, PodState, Sandbox};
use crate::spec::Role;

/// A condition's value before its transition time is known.
struct Value {
    type_: &'static str,
    status: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Value {
    fn yes(type_: &'static str) -> Self {
        Self {
            type_,
            status: true,
            reason: None,
            message: None,
        }
    }

    fn no(type_: &'static str, reason: &'static str, message: String) -> Self {
        Self {
            type_,
            status: false,
            reason: Some(reason),
            message: Some(message).filter(|m| !m.is_empty()),
        }
    }
}

/// What conditions depend on besides the containers.
pub(super) struct Context<'a> {
    pub spec: &'a PodSpec,
    /// The status in the API, with the conditions of other writers.
    pub api: &'a PodStatus,
    /// The status last computed.
    pub previous: &'a PodStatus,
    pub phase: &'a str,
    /// A main container has run.
    pub started: bool,
    pub now: Now,
}

pub(super) fn conditions(
    context: &Context<'_>,
    state: &PodState,
    all: &[(Role, ContainerStatus)],
) -> Vec<PodCondition> {
    let phase = context.phase;
    let containers_ready = containers_ready(all, phase);
    let ready = ready(context.spec, context.api, &containers_ready, phase);
    let has_sandbox =
        matches!(state.sandbox, Sandbox::Ready { .. }) && !matches!(phase, "Succeeded" | "Failed");
    let values = [
        Value {
            status: has_sandbox,
            ..Value::yes("PodReadyToStartContainers")
        },
        initialized(all, phase, context.started),
        ready,
        containers_ready,
        Value::yes("PodScheduled"),
    ];
    values.into_iter().map(|value| stamp(value, context)).collect()
}

/// Keeps the transition time where the status is what it was.
fn stamp(value: Value, context: &Context<'_>) -> PodCondition {
    let status = if value.status { "True" } else { "False" };
    let find = |list: &PodStatus| {
        let same = list
            .conditions
            .iter()
            .flatten()
            .find(|c| c.type_ == value.type_ && c.status == status)?;
        same.last_transition_time.clone()
    };
    let since = find(context.previous).or_else(|| find(context.api));
    PodCondition {
        type_: value.type_.into(),
        status: status.into(),
        reason: value.reason.map(Into::into),
        message: value.message,
        last_transition_time: Some(since.unwrap_or(Time(context.now.wall))),
        ..PodCondition::default()
    }
}

fn names(all: &[(Role, ContainerStatus)], wanted: impl Fn(Role, &ContainerStatus) -> bool) -> Vec<&str> {
    all.iter()
        .filter(|(role, status)| wanted(*role, status))
        .map(|(_, s)| s.name.as_str())
        .collect()
}

fn containers_ready(all: &[(Role, ContainerStatus)], phase: &str) -> Value {
    const TYPE: &str = "ContainersReady";
    if let Some(reason) = final_reason(phase) {
        return Value::no(TYPE, reason, String::new());
    }
    let unready = names(all, |role, s| {
        matches!(role, Role::Main | Role::Sidecar) && !s.ready
    });
    if unready.is_empty() {
        return Value::yes(TYPE);
    }
    Value::no(
        TYPE,
        "ContainersNotReady",
        format!("containers with unready status: [{}]", unready.join(" ")),
    )
}

fn final_reason(phase: &str) -> Option<&'static str> {
    match phase {
        "Succeeded" => Some("PodCompleted"),
        "Failed" => Some("PodFailed"),
        _ => None,
    }
}

fn ready(spec: &PodSpec, old: &PodStatus, containers_ready: &Value, phase: &str) -> Value {
    const TYPE: &str = "Ready";
    if let Some(reason) = final_reason(phase) {
        return Value::no(TYPE, reason, String::new());
    }
    if !containers_ready.status {
        return Value {
            type_: TYPE,
            status: false,
            reason: containers_ready.reason,
            message: containers_ready.message.clone(),
        };
    }
    let mut unmet = Vec::new();
    for gate in spec.readiness_gates.iter().flatten() {
        let type_ = &gate.condition_type;
        match old.conditions.iter().flatten().find(|c| c.type_ == *type_) {
            None => unmet.push(format!(
                "corresponding condition of pod readiness gate \"{type_}\" does not exist."
            )),
            Some(c) if c.status != "True" => unmet.push(format!(
                "the status of pod readiness gate \"{type_}\" is not \"True\", but {}",
                c.status
            )),
            Some(_) => {}
        }
    }
    if unmet.is_empty() {
        Value::yes(TYPE)
    } else {
        Value::no(TYPE, "ReadinessGatesNotReady", unmet.join(", "))
    }
}

fn initialized(all: &[(Role, ContainerStatus)], phase: &str, started: bool) -> Value {
    const TYPE: &str = "Initialized";
    if phase == "Succeeded" {
        return Value {
            reason: Some("PodCompleted"),
            ..Value::yes(TYPE)
        };
    }
    if started {
        return Value::yes(TYPE);
    }
    let incomplete = names(all, |role, s| match role {
        Role::Init => !s.ready,
        Role::Sidecar => s.started != Some(true),
        Role::Main | Role::Ephemeral => false,
    });
    if incomplete.is_empty() {
        return Value::yes(TYPE);
    }
    Value::no(
        TYPE,
        "ContainersNotInitialized",
        format!("containers with incomplete status: [{}]", incomplete.join(" ")),
    )
}
