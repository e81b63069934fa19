//! ServiceAccount: every pod runs as one, and gets a token for it.

use keelson_api::status::{Status, go_quote};
use serde_json::{Value, json};

use super::fields::{items, list, map, text};
use super::{Context, Operation, Request, mountable_secrets};
use crate::auth::resources::SERVICE_ACCOUNTS;

/// Where the token is mounted.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Beginning of the volume's name.
const VOLUME: &str = "kube-api-access-";
/// Life of the token; the kubelet asks for a new one long before. An hour, and seven seconds by which upstream
/// recognizes this use.
const TOKEN_SECONDS: i64 = 3607;
/// Letters and digits of generated names; neither vowels, so that no words come out, nor look-alikes.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

pub fn admit(context: &Context, request: &mut Request<'_>) -> Result<(), Status> {
    let debugs = request.operation == Operation::Update
        && request.subresource == "ephemeralcontainers"
        && request.kind.group.is_empty()
        && request.kind.plural == "pods";
    if debugs {
        return mountable_secrets::debugged(context, request);
    }
    if !request.creates("", "pods") {
        return Ok(());
    }
    let pod = request.object();
    if !pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_null() {
        return mirror(request);
    }
    let name = [
        text(pod, "/spec/serviceAccountName"),
        text(pod, "/spec/serviceAccount"),
        "default",
    ]
    .into_iter()
    .find(|name| !name.is_empty())
    .unwrap_or_default()
    .to_owned();
    let Some(account) = context.reader.get(&SERVICE_ACCOUNTS, request.namespace, &name) else {
        return Err(request.forbidden(&format!(
            "error looking up service account {}/{name}: serviceaccount {} not found",
            request.namespace,
            go_quote(&name)
        )));
    };
    let account = context.decoded.of(&account);
    let automount = pod["spec"]["automountServiceAccountToken"]
        .as_bool()
        .or(account["automountServiceAccountToken"].as_bool())
        .unwrap_or(true);
    let volume = automount.then(|| volume_name(pod)).transpose()?;
    let Some(spec) = request.object.as_deref_mut().and_then(|pod| map(pod, "spec")) else {
        return Ok(());
    };
    spec.insert("serviceAccountName".to_owned(), name.as_str().into());
    // The old name of the same field, which clients still read.
    spec.insert("serviceAccount".to_owned(), name.into());
    let no_secrets = spec
        .get("imagePullSecrets")
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty);
    if no_secrets && !items(&account, "/imagePullSecrets").is_empty() {
        spec.insert("imagePullSecrets".to_owned(), account["imagePullSecrets"].clone());
    }
    if let Some(volume) = volume {
        mount(spec, &volume);
    }
    mountable_secrets::created(&account, request)
}

/// Mirror pods show what a kubelet runs on its own; they get no credentials through the API.
fn mirror(request: &Request<'_>) -> Result<(), Status> {
    let pod = request.object();
    if !text(pod, "/spec/serviceAccountName").is_empty() {
        return Err(request.forbidden("a mirror pod may not reference service accounts"));
    }
    let projects_token = |volume: &Value| {
        items(volume, "/projected/sources")
            .iter()
            .any(|source| !source["serviceAccountToken"].is_null())
    };
    if items(pod, "/spec/volumes")
        .iter()
        .any(|volume| !volume["secret"].is_null())
    {
        return Err(request.forbidden("a mirror pod may not reference secrets"));
    }
    if items(pod, "/spec/volumes").iter().any(projects_token) {
        return Err(request.forbidden("a mirror pod may not use ServiceAccountToken volume projections"));
    }
    Ok(())
}

/// The token volume that the pod already has (as in a copied manifest), or a new name.
fn volume_name(pod: &Value) -> Result<String, Status> {
    let existing = items(pod, "/spec/volumes")
        .iter()
        .map(|volume| text(volume, "/name"));
    if let Some(name) = existing.clone().find(|name| name.starts_with(VOLUME)) {
        return Ok(name.to_owned());
    }
    let mut random = [0u8; 5];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random)
        .map_err(|_| Status::internal("no random numbers"))?;
    let suffix: String = random
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect();
    Ok(format!("{VOLUME}{suffix}"))
}

fn mount(spec: &mut serde_json::Map<String, Value>, volume: &str) {
    let mut needed = false;
    for containers in ["initContainers", "containers"] {
        for container in spec
            .get_mut(containers)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            // Something else may be mounted there on purpose.
            if items(container, "/volumeMounts")
                .iter()
                .any(|mount| text(mount, "/mountPath") == MOUNT_PATH)
            {
                continue;
            }
            let Some(mounts) = container
                .as_object_mut()
                .and_then(|container| list(container, "volumeMounts"))
            else {
                continue;
            };
            mounts.push(json!({"name": volume, "mountPath": MOUNT_PATH, "readOnly": true}));
            needed = true;
        }
    }
    let Some(volumes) = list(spec, "volumes") else {
        return;
    };
    if !needed || volumes.iter().any(|existing| text(existing, "/name") == volume) {
        return;
    }
    volumes.push(json!({
        "name": volume,
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": TOKEN_SECONDS}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [
                    {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
                ]}},
            ],
        },
    }));
}
