//! The plain discovery documents: APIVersions, APIGroupList, APIGroup, APIResourceList.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::kinds::{Kind, Subresource};
use crate::server::components;
use crate::server::registry::{Registry, api_version};
use crate::server::subresource::is_virtual;

/// `/api`.
pub fn versions(registry: &Registry, address: SocketAddr) -> Value {
    let versions: Vec<_> = registry
        .groups()
        .into_iter()
        .filter(|(group, _)| group.is_empty())
        .flat_map(|(_, versions)| versions)
        .collect();
    json!({
        "kind": "APIVersions", "versions": versions,
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address.to_string()}],
    })
}

fn group(name: &str, versions: &[&str]) -> Value {
    let entry = |version: &str| json!({"groupVersion": api_version(name, version), "version": version});
    json!({
        "name": name,
        "versions": versions.iter().map(|version| entry(version)).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(|version| entry(version)),
    })
}

/// `/apis`.
pub fn all(registry: &Registry) -> Value {
    let groups: Vec<_> = registry
        .groups()
        .into_iter()
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, versions)| group(name, &versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/G`.
pub fn one(registry: &Registry, wanted: &str) -> Option<Value> {
    let (name, versions) = registry
        .groups()
        .into_iter()
        .find(|(name, _)| *name == wanted && !name.is_empty())?;
    let mut value = group(name, &versions);
    value["kind"] = "APIGroup".into();
    value["apiVersion"] = "v1".into();
    Some(value)
}

/// `/api/v1` and `/apis/G/V`.
pub fn resources(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let mut list = Vec::new();
    for served in registry.all() {
        let kind = &*served.kind;
        if kind.group != group || kind.version != version {
            continue;
        }
        let mut value = resource(kind);
        if let Some(hash) = storage_version_hash(registry, kind) {
            value["storageVersionHash"] = hash.into();
        }
        list.push(value);
        list.extend(
            kind.subresources
                .iter()
                .map(|subresource| below(kind, subresource)),
        );
    }
    list.sort_by(|one, two| one["name"].as_str().cmp(&two["name"].as_str()));
    (!list.is_empty()).then(|| {
        json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(group, version), "resources": list,
        })
    })
}

/// What tells clients whether objects are stored as before: a migrator rewrites them when it changes (`StorageVersionHash`
/// of upstream's discovery).
fn storage_version_hash(registry: &Registry, kind: &Kind) -> Option<String> {
    if is_virtual(kind) || components::is(kind) {
        return None;
    }
    let version = match (&kind.custom, &kind.storage) {
        (Some(custom), _) => custom.storage_version().to_owned(),
        (None, None) => format!("{}/{}", kind.group, kind.version),
        (None, Some((group, resource))) => {
            let stored = registry.all().iter().map(|served| &*served.kind);
            let mut stored = stored.filter(|stored| stored.storage.is_none());
            let stored = stored.find(|stored| stored.group == *group && stored.plural == *resource)?;
            format!("{}/{}", stored.group, stored.version)
        }
    };
    let digest = Sha256::digest(format!("{version}/{}", kind.kind));
    Some(BASE64.encode(&digest[..8]))
}

fn resource(kind: &Kind) -> Value {
    let mut value = json!({
        "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced,
        "kind": kind.kind, "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        value["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        value["categories"] = json!(kind.categories);
    }
    value
}

fn below(kind: &Kind, subresource: &Subresource) -> Value {
    let mut value = json!({
        "name": format!("{}/{}", kind.plural, subresource.name), "singularName": "",
        "namespaced": kind.namespaced, "kind": subresource.kind, "verbs": subresource.verbs,
    });
    if subresource.group != kind.group || subresource.version != kind.version {
        value["group"] = json!(subresource.group);
        value["version"] = json!(subresource.version);
    }
    value
}
