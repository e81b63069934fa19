//! Object metadata, owner references and conditions.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::{Shared, Time, nullable};
use crate::controllers::api::{Reference, Resource};
use crate::controllers::informer::Key;

/// `metadata` of an object. Deserializes from the whole object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meta {
    /// Name.
    pub name: String,
    /// Namespace or empty.
    pub namespace: String,
    /// UID.
    pub uid: String,
    /// Revision.
    pub resource_version: String,
    /// Bumped by changes of the desired state.
    pub generation: i64,
    /// When it was made.
    pub created: Time,
    /// When it is to be gone.
    pub deleted: Option<Time>,
    /// Labels.
    pub labels: Shared<BTreeMap<String, String>>,
    /// Annotations, without kubectl's last-applied configuration (it is as large as the object).
    pub annotations: Shared<BTreeMap<String, String>>,
    /// Owners.
    pub owners: Shared<Vec<OwnerReference>>,
    /// Finalizers.
    pub finalizers: Vec<String>,
}

/// `metadata.ownerReferences[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    /// `apps/v1`.
    pub api_version: String,
    /// `ReplicaSet`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// This owner manages the object.
    #[serde(deserialize_with = "nullable")]
    pub controller: bool,
    /// Foreground deletion of the owner waits for the object.
    #[serde(deserialize_with = "nullable")]
    pub block_owner_deletion: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Wire {
    name: String,
    namespace: String,
    uid: String,
    resource_version: String,
    generation: i64,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    #[serde(deserialize_with = "nullable")]
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    owner_references: Vec<OwnerReference>,
    #[serde(deserialize_with = "nullable")]
    finalizers: Vec<String>,
}

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Decodes the value of a `metadata` field.
pub fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Meta, D::Error> {
    let mut wire = Wire::deserialize(deserializer)?;
    wire.annotations.remove(LAST_APPLIED);
    Ok(Meta {
        name: wire.name,
        namespace: wire.namespace,
        uid: wire.uid,
        resource_version: wire.resource_version,
        generation: wire.generation,
        created: wire.creation_timestamp.unwrap_or_default(),
        deleted: wire.deletion_timestamp,
        labels: wire.labels.into(),
        annotations: wire.annotations.into(),
        owners: wire.owner_references.into(),
        finalizers: wire.finalizers,
    })
}

impl<'de> Deserialize<'de> for Meta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Object {
            #[serde(deserialize_with = "metadata")]
            metadata: Meta,
        }
        Ok(Object::deserialize(deserializer)?.metadata)
    }
}

impl Meta {
    /// Namespace and name.
    pub fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }

    /// The owner that manages it.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owners.iter().find(|owner| owner.controller)
    }

    /// Index value that finds the object by the owner that manages it, or among those that nobody manages.
    pub fn owner_index(&self) -> String {
        match self.controller() {
            Some(owner) => index_owned(&owner.uid),
            None => index_orphans(&self.namespace),
        }
    }

    /// For events and owner references.
    pub fn reference(&self, resource: &Resource) -> Reference {
        Reference {
            api_version: resource.api_version(),
            kind: resource.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            resource_version: self.resource_version.clone(),
        }
    }
}

/// Index value of the objects that the owner with this UID manages.
pub fn index_owned(uid: &str) -> String {
    format!("owner/{uid}")
}

/// Index value of the objects of a namespace that nobody manages.
pub fn index_orphans(namespace: &str) -> String {
    format!("orphans/{namespace}")
}

/// The owner reference with which a controller marks what it makes.
pub fn controller_reference(owner: &Meta, resource: &Resource) -> Value {
    json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// `status.conditions[]` of any kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When something about it last changed (Deployments).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Time>,
    /// When the node last reported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_heartbeat_time: Option<Time>,
    /// When it was last looked at (Jobs).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_probe_time: Option<Time>,
    /// When the status last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// CamelCase reason.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Condition {
    /// Finds a condition by type.
    pub fn find<'a>(conditions: &'a [Self], kind: &str) -> Option<&'a Self> {
        conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Whether a condition of this type is True.
    pub fn is_true(conditions: &[Self], kind: &str) -> bool {
        Self::find(conditions, kind).is_some_and(|condition| condition.status == "True")
    }
}
