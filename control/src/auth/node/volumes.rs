//! Which claims lead to a secret: those whose volumes name it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use crate::auth::resources::PERSISTENT_VOLUMES;
use crate::object::{Object, Reader};

/// An object's namespace and name.
type Key = (String, String);
/// Claims by their namespace.
pub type Claims = BTreeMap<String, BTreeSet<String>>;

/// The secrets of volumes, each with the claims that lead to it. One secret is often that of every volume of a storage
/// class, so this is looked up and not searched; it is made again when volumes have changed, by whoever asks next.
#[derive(Debug, Default)]
pub struct VolumeSecrets(RwLock<Arc<Table>>);

#[derive(Debug, Default)]
struct Table {
    /// The volumes' version that it was made from; 0 is that of none.
    version: u64,
    claims: HashMap<Key, Arc<Claims>>,
    /// What was read of each volume, by UID: a change of one is no reason to decode the others again.
    read: HashMap<String, (u64, Arc<Edges>)>,
}

/// What a volume connects.
#[derive(Debug, PartialEq, Eq)]
pub struct Edges {
    claim: Key,
    secrets: BTreeSet<Key>,
}

impl VolumeSecrets {
    /// The claims that lead to a secret, if any does.
    pub fn claims(&self, reader: &dyn Reader, namespace: &str, secret: &str) -> Option<Arc<Claims>> {
        let version = reader.version(&PERSISTENT_VOLUMES);
        if version == 0 {
            return None;
        }
        // The lock guards a single pointer, which a panic cannot leave half written.
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let table = if known.version == version {
            known
        } else {
            // The version comes first: a change meanwhile makes the result look older than it is, never newer.
            let table = Arc::new(Table::make(reader, version, &known));
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&table);
            table
        };
        table
            .claims
            .get(&(namespace.to_owned(), secret.to_owned()))
            .cloned()
    }
}

impl Table {
    fn make(reader: &dyn Reader, version: u64, before: &Self) -> Self {
        let mut claims: HashMap<Key, Claims> = HashMap::new();
        let mut read = HashMap::new();
        for volume in reader.list(&PERSISTENT_VOLUMES, None) {
            let edges = match before.read.get(&volume.uid) {
                Some((version, edges)) if *version == volume.resource_version => Arc::clone(edges),
                _ => Arc::new(edges(&volume)),
            };
            for secret in &edges.secrets {
                let (namespace, name) = edges.claim.clone();
                let led = claims.entry(secret.clone()).or_default();
                led.entry(namespace).or_default().insert(name);
            }
            read.insert(volume.uid.clone(), (volume.resource_version, edges));
        }
        let claims = claims.into_iter().map(|(secret, led)| (secret, Arc::new(led)));
        Self {
            version,
            claims: claims.collect(),
            read,
        }
    }
}

fn edges(volume: &Object) -> Edges {
    let volume = volume.value();
    let claim = &volume["spec"]["claimRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let claim = (text(&claim["namespace"]), text(&claim["name"]));
    let secrets = if claim.1.is_empty() {
        BTreeSet::new()
    } else {
        secrets(&volume["spec"], &claim.0)
    };
    Edges { claim, secrets }
}

/// The secrets that a kubelet reads to mount a volume. Those with which a controller attaches or grows one are not its
/// business (`VisitPVSecretNames` and its `kubeletVisible`).
fn secrets(spec: &Value, claimed_in: &str) -> BTreeSet<Key> {
    let mut found = BTreeSet::new();
    let mut add = |namespace: &Value, name: &Value, or: &str| {
        let namespace = namespace.as_str().filter(|namespace| !namespace.is_empty());
        if let Some(name) = name.as_str().filter(|name| !name.is_empty()) {
            found.insert((namespace.unwrap_or(or).to_owned(), name.to_owned()));
        }
    };
    let azure = &spec["azureFile"];
    add(&azure["secretNamespace"], &azure["secretName"], claimed_in);
    // Volumes that were made before these references had a namespace mean the claim's.
    for kind in ["cephfs", "flexVolume", "iscsi", "rbd", "scaleIO"] {
        let secret = &spec[kind]["secretRef"];
        add(&secret["namespace"], &secret["name"], claimed_in);
    }
    for secret in [
        &spec["cinder"]["secretRef"],
        &spec["storageos"]["secretRef"],
        &spec["csi"]["nodePublishSecretRef"],
        &spec["csi"]["nodeStageSecretRef"],
        &spec["csi"]["nodeExpandSecretRef"],
    ] {
        add(&secret["namespace"], &secret["name"], "");
    }
    found
}
