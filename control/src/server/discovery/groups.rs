//! The plain discovery documents: APIVersions, APIGroupList, APIGroup, APIResourceList.

use std::borrow::Cow;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
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

/// An APIResourceList. Its fields are in upstream's order, by which scripts look for text in it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiResourceList<'a> {
    kind: &'static str,
    api_version: &'static str,
    group_version: String,
    resources: Vec<ApiResource<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiResource<'a> {
    name: Cow<'a, str>,
    singular_name: &'a str,
    namespaced: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    kind: &'a str,
    verbs: &'static [&'static str],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    short_names: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    categories: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_version_hash: Option<String>,
}

/// `/api/v1` and `/apis/G/V`.
pub fn resources<'a>(registry: &'a Registry, group: &str, version: &str) -> Option<ApiResourceList<'a>> {
    let mut list = Vec::new();
    for served in registry.all() {
        let kind = &*served.kind;
        if kind.group != group || kind.version != version {
            continue;
        }
        list.push(resource(registry, kind));
        let subresources = kind.subresources.iter();
        list.extend(subresources.map(|subresource| below(kind, subresource)));
    }
    list.sort_by(|one, two| one.name.cmp(&two.name));
    (!list.is_empty()).then(|| ApiResourceList {
        kind: "APIResourceList",
        api_version: "v1",
        group_version: api_version(group, version),
        resources: list,
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

fn resource<'a>(registry: &Registry, kind: &'a Kind) -> ApiResource<'a> {
    ApiResource {
        name: Cow::Borrowed(&kind.plural),
        singular_name: &kind.singular,
        namespaced: kind.namespaced,
        group: None,
        version: None,
        kind: &kind.kind,
        verbs: kind.verbs,
        short_names: kind.short_names.iter().map(|name| &**name).collect(),
        categories: kind.categories.iter().map(|name| &**name).collect(),
        storage_version_hash: storage_version_hash(registry, kind),
    }
}

fn below<'a>(kind: &'a Kind, subresource: &'a Subresource) -> ApiResource<'a> {
    let elsewhere = subresource.group != kind.group || subresource.version != kind.version;
    ApiResource {
        name: Cow::Owned(format!("{}/{}", kind.plural, subresource.name)),
        singular_name: "",
        namespaced: kind.namespaced,
        group: elsewhere.then_some(&*subresource.group),
        version: elsewhere.then_some(&*subresource.version),
        kind: &subresource.kind,
        verbs: subresource.verbs,
        short_names: Vec::new(),
        categories: Vec::new(),
        storage_version_hash: None,
    }
}
