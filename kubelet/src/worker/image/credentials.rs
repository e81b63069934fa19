//! Registry credentials from `imagePullSecrets`.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Pod;
use keelson_runtime::image::normalize_reference;
use serde::Deserialize;

use crate::cache::Kind;
use crate::worker::Context;

#[derive(Deserialize, Default)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

/// User and password for an image from the first of the pod's secrets that has some.
pub(super) async fn find(context: &Arc<Context>, pod: &Pod, image: &str) -> Option<(String, String)> {
    let registry = registry(image)?;
    let namespace = pod.metadata.namespace.as_deref()?;
    let uid = pod.metadata.uid.as_deref()?;
    for reference in pod.spec.as_ref()?.image_pull_secrets.iter().flatten() {
        // A missing secret is not an error: the image may be public.
        let Ok(Some(secret)) = context
            .objects
            .get(uid, Kind::Secret, namespace, &reference.name)
            .await
        else {
            continue;
        };
        let found = secret
            .data
            .get(".dockerconfigjson")
            .and_then(|data| lookup(data, &registry, false));
        let found = found.or_else(|| {
            secret
                .data
                .get(".dockercfg")
                .and_then(|data| lookup(data, &registry, true))
        });
        if found.is_some() {
            return found;
        }
    }
    None
}

fn registry(image: &str) -> Option<String> {
    let full = normalize_reference(image).ok()?;
    full.split('/').next().map(str::to_owned)
}

/// Looks a registry up in a docker configuration; `bare` is the older form without `auths`.
fn lookup(data: &[u8], registry: &str, bare: bool) -> Option<(String, String)> {
    let auths = if bare {
        serde_json::from_slice(data).ok()?
    } else {
        serde_json::from_slice::<DockerConfig>(data).ok()?.auths
    };
    let host = |key: &str| {
        let key = key.trim_start_matches("https://").trim_start_matches("http://");
        let host = key.split('/').next().unwrap_or_default().to_owned();
        if host == "index.docker.io" {
            "docker.io".to_owned()
        } else {
            host
        }
    };
    let (_, entry) = auths.iter().find(|(key, _)| host(key) == registry)?;
    if !entry.username.is_empty() {
        return Some((entry.username.clone(), entry.password.clone()));
    }
    let decoded = String::from_utf8(STANDARD.decode(&entry.auth).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::lookup;

    #[test]
    fn docker_configurations() {
        let auth = "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dTpwOnE=\"}}}";
        assert_eq!(
            lookup(auth.as_bytes(), "docker.io", false),
            Some(("u".into(), "p:q".into()))
        );
        assert_eq!(lookup(auth.as_bytes(), "ghcr.io", false), None);
        let bare = "{\"r.example:5000\":{\"username\":\"a\",\"password\":\"b\"}}";
        assert_eq!(
            lookup(bare.as_bytes(), "r.example:5000", true),
            Some(("a".into(), "b".into()))
        );
        for garbage in ["", "[]", "{\"auths\":3}", "{\"auths\":{\"r\":{\"auth\":\"!!\"}}}"] {
            assert_eq!(lookup(garbage.as_bytes(), "r", false), None);
        }
    }
}
