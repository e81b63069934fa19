//! The part of ServiceAccount for accounts with the annotation `kubernetes.io/enforce-mountable-secrets: "true"`: their
//! pods use the secrets that the account lists, and no others (upstream: `limitSecretReferences`).

use keelson_api::status::Status;
use serde_json::Value;

use super::fields::{items, text};
use super::{Context, Request};
use crate::auth::resources::SERVICE_ACCOUNTS;

/// Checks a new pod of that account.
pub fn created(account: &Value, request: &Request<'_>) -> Result<(), Status> {
    if !enforces(account) {
        return Ok(());
    }
    let (pod, name) = (request.object(), text(account, "/metadata/name"));
    let lists = |secret: &str| lists(account, "/secrets", secret);
    for volume in items(pod, "/spec/volumes") {
        // Only volumes that are secrets: upstream leaves projected ones out.
        let secret = text(volume, "/secret/secretName");
        if volume["secret"].is_object() && !lists(secret) {
            return Err(request.forbidden(&format!(
                "volume with secret.secretName=\"{secret}\" is not allowed because service account {name} does not \
                 reference that secret"
            )));
        }
    }
    containers(account, request, "init container", "/spec/initContainers")?;
    containers(account, request, "container", "/spec/containers")?;
    for (index, reference) in items(pod, "/spec/imagePullSecrets").iter().enumerate() {
        let secret = text(reference, "/name");
        if !self::lists(account, "/imagePullSecrets", secret) {
            return Err(request.forbidden(&format!(
                "imagePullSecrets[{index}].name=\"{secret}\" is not allowed because service account {name} does not \
                 reference that imagePullSecret"
            )));
        }
    }
    Ok(())
}

/// Checks the ephemeral containers of a pod that is there.
pub fn debugged(context: &Context, request: &Request<'_>) -> Result<(), Status> {
    let name = text(request.stored(), "/spec/serviceAccountName");
    if name.is_empty() {
        return Ok(());
    }
    let Some(account) = context.reader.get(&SERVICE_ACCOUNTS, request.namespace, name) else {
        return Err(request.forbidden(&format!(
            "error looking up service account {}/{name}: serviceaccount \"{name}\" not found",
            request.namespace
        )));
    };
    let account = context.decoded.of(&account);
    if !enforces(&account) {
        return Ok(());
    }
    containers(
        &account,
        request,
        "ephemeral container",
        "/spec/ephemeralContainers",
    )
}

/// What Go's `strconv.ParseBool` takes for true.
fn enforces(account: &Value) -> bool {
    let annotation = text(
        account,
        "/metadata/annotations/kubernetes.io~1enforce-mountable-secrets",
    );
    matches!(annotation, "1" | "t" | "T" | "TRUE" | "true" | "True")
}

/// Whether the account has the secret in that list.
fn lists(account: &Value, list: &str, secret: &str) -> bool {
    items(account, list)
        .iter()
        .any(|own| text(own, "/name") == secret)
}

/// Checks the environment of the containers in a list.
fn containers(account: &Value, request: &Request<'_>, kind: &str, list: &str) -> Result<(), Status> {
    let refused = |container: &Value, with: &str, secret: &str| {
        Err(request.forbidden(&format!(
            "{kind} {} with {with} referencing secret.secretName=\"{secret}\" is not allowed because service account {} \
             does not reference that secret",
            text(container, "/name"),
            text(account, "/metadata/name")
        )))
    };
    for container in items(request.object(), list) {
        for variable in items(container, "/env") {
            let reference = &variable["valueFrom"]["secretKeyRef"];
            let secret = text(reference, "/name");
            if reference.is_object() && !lists(account, "/secrets", secret) {
                return refused(container, &format!("envVar {}", text(variable, "/name")), secret);
            }
        }
        for source in items(container, "/envFrom") {
            let secret = text(source, "/secretRef/name");
            if source["secretRef"].is_object() && !lists(account, "/secrets", secret) {
                return refused(container, "envFrom", secret);
            }
        }
    }
    Ok(())
}
