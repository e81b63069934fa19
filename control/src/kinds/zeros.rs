//! What a client with types leaves out because it is zero, and one without writes: `paused: false`, `nodePort: 0`, `tls: []`.
//!
//! Upstream's server is itself such a client. If these were kept, the next update of a Go program would be a change of fields
//! that may not change, or a new generation, or a new template and so a rollout that nobody asked for.

use std::sync::LazyLock;

use keelson_api::protobuf::{self, Message};
use serde_json::{Map, Value};

use super::Kind;

static TEMPLATE: LazyLock<Option<&Message>> = LazyLock::new(|| protobuf::find("core.v1.PodTemplateSpec"));

/// Makes an object that somebody sent, or that is stored, what upstream's type would be: without zeros, with defaults.
///
/// Objects of custom kinds have no zeros: their schema says what they are.
pub fn default(kind: &Kind, object: &mut Value) {
    // An empty list of policies is an error of an autoscaler, where one that is not there has a default.
    let defaults_first = kind.kind == "HorizontalPodAutoscaler";
    if defaults_first {
        kind.strategy.default(object);
    }
    if kind.custom.is_none()
        && let Some(fields) = object.as_object_mut()
    {
        without(protobuf::of_kind(&kind.api_version(), &kind.kind), fields);
    }
    if !defaults_first {
        kind.strategy.default(object);
    }
}

/// Drops the zeros of a pod template.
pub fn drop_zeros(template: &mut Value) {
    if let Some(template) = template.as_object_mut() {
        without(*TEMPLATE, template);
    }
}

fn without(message: Option<&Message>, fields: &mut Map<String, Value>) {
    if let Some(message) = message {
        protobuf::drop_zeros(message, fields);
    }
}
