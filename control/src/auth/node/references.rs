//! Which objects the pods of a node refer to.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::Target;
use super::volumes::VolumeSecrets;
use crate::auth::resources::{PERSISTENT_VOLUMES, PODS, VOLUME_ATTACHMENTS};
use crate::object::{Object, Reader};

/// Reference sets kept at most; past that they are worked out anew. About 300 bytes each.
const KNOWN_MAX: usize = 4096;

/// What one pod refers to in its own namespace.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Node that the pod is bound to.
    pub node: String,
    /// Kind and name.
    pub targets: BTreeSet<(Target, String)>,
}

/// Answers reachability from nodes to objects, from the pods as they are now. What a pod refers to is remembered by
/// the revision of the pod.
#[derive(Debug)]
pub struct Graph {
    reader: Arc<dyn Reader>,
    known: Mutex<HashMap<String, (u64, Arc<References>)>>,
    volumes: VolumeSecrets,
}

impl Graph {
    /// Over the pods in `reader`.
    pub fn new(reader: Arc<dyn Reader>) -> Self {
        Self {
            reader,
            known: Mutex::default(),
            volumes: VolumeSecrets::default(),
        }
    }

    /// Whether a pod that is bound to `node` needs the object, or whether it is the node's own.
    pub fn leads_to(&self, node: &str, target: Target, namespace: &str, name: &str) -> bool {
        match target {
            Target::Pod => self
                .reader
                .get(&PODS, namespace, name)
                .is_some_and(|pod| self.references(&pod).node == node),
            Target::Volume => {
                let Some(volume) = self.reader.get(&PERSISTENT_VOLUMES, "", name) else {
                    return false;
                };
                let claim = &volume.value()["spec"]["claimRef"];
                match (claim["namespace"].as_str(), claim["name"].as_str()) {
                    (Some(namespace), Some(claim)) => self.leads_to(node, Target::Claim, namespace, claim),
                    _ => false,
                }
            }
            Target::Attachment => self
                .reader
                .get(&VOLUME_ATTACHMENTS, "", name)
                .is_some_and(|attachment| attachment.value()["spec"]["nodeName"] == node),
            Target::Secret => {
                self.named_by_pod(node, target, namespace, name)
                    || self.named_by_volume(node, namespace, name)
            }
            _ => self.named_by_pod(node, target, namespace, name),
        }
    }

    fn named_by_pod(&self, node: &str, target: Target, namespace: &str, name: &str) -> bool {
        let wanted = (target, name.to_owned());
        self.any_pod(node, Some(namespace), |_, references| {
            references.targets.contains(&wanted)
        })
    }

    /// Whether a pod of the node mounts a volume that has this secret.
    fn named_by_volume(&self, node: &str, namespace: &str, name: &str) -> bool {
        let Some(claims) = self.volumes.claims(self.reader.as_ref(), namespace, name) else {
            return false;
        };
        // The secret of a storage class has claims in many namespaces. Pods of other nodes are passed over unread.
        let only = match claims.first_key_value() {
            Some((namespace, _)) if claims.len() == 1 => Some(namespace.as_str()),
            _ => None,
        };
        self.any_pod(node, only, |namespace, references| {
            let Some(claims) = claims.get(namespace) else {
                return false;
            };
            let mut own = references.targets.iter();
            own.any(|(target, name)| *target == Target::Claim && claims.contains(name))
        })
    }

    /// Whether a pod of the node is so, of those in one namespace or in all.
    fn any_pod(
        &self,
        node: &str,
        namespace: Option<&str>,
        is_so: impl Fn(&str, &References) -> bool,
    ) -> bool {
        self.reader.list(&PODS, namespace).iter().any(|pod| {
            // The index says at once that most pods are elsewhere.
            if pod.fields.get("spec.nodeName").is_some_and(|bound| bound != node) {
                return false;
            }
            let references = self.references(pod);
            references.node == node && is_so(&pod.namespace, &references)
        })
    }

    fn references(&self, pod: &Object) -> Arc<References> {
        // A panic while the lock was held cannot have left a half-made entry.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, references)) = known.get(&pod.uid)
            && *version == pod.resource_version
        {
            return references.clone();
        }
        let references = Arc::new(references(&pod.value()));
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(pod.uid.clone(), (pod.resource_version, references.clone()));
        references
    }
}

fn items<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

/// What a pod refers to. A mirror pod refers to nothing: a node makes those itself, and could otherwise name any
/// secret.
pub fn references(pod: &Value) -> References {
    let mirror = !pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_null();
    References {
        node: pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned(),
        targets: if mirror { BTreeSet::new() } else { targets(pod) },
    }
}

/// What the pod's spec names, whoever made it.
pub fn targets(pod: &Value) -> BTreeSet<(Target, String)> {
    let spec = &pod["spec"];
    let mut found = BTreeSet::new();
    let mut add = |target: Target, name: &Value| {
        if let Some(name) = name.as_str().filter(|name| !name.is_empty()) {
            found.insert((target, name.to_owned()));
        }
    };
    add(Target::ServiceAccount, &spec["serviceAccountName"]);
    for secret in items(spec, "imagePullSecrets") {
        add(Target::Secret, &secret["name"]);
    }
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for container in items(spec, list) {
            for variable in items(container, "env") {
                add(Target::Secret, &variable["valueFrom"]["secretKeyRef"]["name"]);
                add(
                    Target::ConfigMap,
                    &variable["valueFrom"]["configMapKeyRef"]["name"],
                );
            }
            for source in items(container, "envFrom") {
                add(Target::Secret, &source["secretRef"]["name"]);
                add(Target::ConfigMap, &source["configMapRef"]["name"]);
            }
        }
    }
    let pod_name = pod["metadata"]["name"].as_str().unwrap_or_default();
    for volume in items(spec, "volumes") {
        add(Target::Secret, &volume["secret"]["secretName"]);
        add(Target::ConfigMap, &volume["configMap"]["name"]);
        add(Target::Claim, &volume["persistentVolumeClaim"]["claimName"]);
        if volume["ephemeral"].is_object() {
            let name = volume["name"].as_str().unwrap_or_default();
            add(Target::Claim, &Value::String(format!("{pod_name}-{name}")));
        }
        for source in items(&volume["projected"], "sources") {
            add(Target::Secret, &source["secret"]["name"]);
            add(Target::ConfigMap, &source["configMap"]["name"]);
        }
        // The remaining kinds of volumes name the secret in one of these places.
        for kind in [
            "cephfs",
            "cinder",
            "flexVolume",
            "iscsi",
            "rbd",
            "scaleIO",
            "storageos",
        ] {
            add(Target::Secret, &volume[kind]["secretRef"]["name"]);
        }
        add(Target::Secret, &volume["csi"]["nodePublishSecretRef"]["name"]);
        add(Target::Secret, &volume["azureFile"]["secretName"]);
    }
    found
}
