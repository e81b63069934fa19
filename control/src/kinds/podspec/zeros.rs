//! What a client with types leaves out because it is zero, and one without writes: `hostNetwork: false`, `stdin: false`.
//!
//! Upstream's server is itself such a client. If these were kept, the next update of a Go program would be a change of fields
//! that may not change, or a new template with a new hash, and so a rollout that nobody asked for.

use std::sync::LazyLock;

use keelson_api::protobuf::{self, Message};
use serde_json::{Map, Value};

static SPEC: LazyLock<Option<&Message>> = LazyLock::new(|| protobuf::find("core.v1.PodSpec"));
static TEMPLATE: LazyLock<Option<&Message>> = LazyLock::new(|| protobuf::find("core.v1.PodTemplateSpec"));

/// Drops the zeros of a pod's spec.
pub(super) fn drop(spec: &mut Map<String, Value>) {
    without(*SPEC, spec);
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
