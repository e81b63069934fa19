//! Events (`kubectl get events`): what happened to pods and to the node.

mod recorder;
mod series;

use k8s_openapi::api::core::v1::{ObjectReference, Pod};

pub use recorder::Recorder;

/// `Normal` or `Warning`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Expected.
    Normal,
    /// Needs attention.
    Warning,
}

impl Kind {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// What a pod's event is about; with a container, its field path.
pub fn pod_reference(pod: &Pod, container: Option<(&crate::spec::Role, &str)>) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        resource_version: pod.metadata.resource_version.clone(),
        field_path: container.map(|(role, name)| {
            let list = match role {
                crate::spec::Role::Init | crate::spec::Role::Sidecar => "initContainers",
                crate::spec::Role::Main => "containers",
                crate::spec::Role::Ephemeral => "ephemeralContainers",
            };
            format!("spec.{list}{{{name}}}")
        }),
    }
}

/// `name_namespace(uid)`, as upstream's messages name a pod.
pub fn pod_text(pod: &Pod) -> String {
    let meta = &pod.metadata;
    format!(
        "{}_{}({})",
        meta.name.as_deref().unwrap_or_default(),
        meta.namespace.as_deref().unwrap_or_default(),
        meta.uid.as_deref().unwrap_or_default()
    )
}
