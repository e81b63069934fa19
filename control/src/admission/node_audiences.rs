//! For whom a kubelet gets tokens: the part of NodeRestriction that upstream calls `ServiceAccountNodeAudienceRestriction`
//! (on since 1.32). A node gets tokens of its pods for those whom the pods themselves mean to show tokens to.

use keelson_api::status::{Status, go_quote};
use serde_json::Value;

use super::fields::{items, text};
use super::{Context, Request};
use crate::auth::Attributes;
use crate::auth::resources::{CSI_DRIVERS, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES};

/// Verb of the right to an audience, which stands as the resource.
const VERB: &str = "request-serviceaccounts-token-audience";

/// Checks the audiences of a `TokenRequest` that is bound to `pod`. None, and the empty one, are the API server's own.
pub fn check(context: &Context, request: &Request<'_>, pod: &Value) -> Result<(), Status> {
    let audience = match items(request.object(), "/spec/audiences") {
        [] => "",
        [only] => only.as_str().unwrap_or_default(),
        _ => return Err(request.forbidden("node may only request 0 or 1 audiences")),
    };
    let volumes = items(pod, "/spec/volumes");
    if volumes.iter().any(|volume| projects(volume, audience)) {
        return Ok(());
    }
    let drivers = volumes
        .iter()
        .filter_map(|volume| driver(context, request.namespace, pod, volume));
    for driver in drivers {
        if hands_out(context, &driver, audience) {
            return Ok(());
        }
    }
    let attributes = Attributes {
        namespace: request.namespace,
        name: request.name,
        version: "v1",
        ..Attributes::resource(request.user, VERB, "", audience)
    };
    if context.authorizer.authorize(&attributes).is_allowed() {
        return Ok(());
    }
    Err(request.forbidden(&format!(
        "audience {} not found in pod spec volume, {} is not authorized to request tokens for this audience",
        go_quote(audience),
        request.user.name
    )))
}

fn projects(volume: &Value, audience: &str) -> bool {
    items(volume, "/projected/sources").iter().any(|source| {
        source["serviceAccountToken"].is_object() && text(source, "/serviceAccountToken/audience") == audience
    })
}

/// The CSI driver of a volume: its own, or that of the volume behind its claim.
fn driver(context: &Context, namespace: &str, pod: &Value, volume: &Value) -> Option<String> {
    if volume["csi"].is_object() {
        return Some(text(volume, "/csi/driver").to_owned());
    }
    let claim = if volume["ephemeral"].is_object() {
        format!("{}-{}", text(pod, "/metadata/name"), text(volume, "/name"))
    } else {
        text(volume, "/persistentVolumeClaim/claimName").to_owned()
    };
    if claim.is_empty() {
        return None;
    }
    let claim = context
        .reader
        .get(&PERSISTENT_VOLUME_CLAIMS, namespace, &claim)?
        .value();
    let bound = context
        .reader
        .get(&PERSISTENT_VOLUMES, "", text(&claim, "/spec/volumeName"))?
        .value();
    let driver = text(&bound, "/spec/csi/driver");
    (!driver.is_empty()).then(|| driver.to_owned())
}

/// Whether the driver has kubelets hand it tokens for that audience.
fn hands_out(context: &Context, driver: &str, audience: &str) -> bool {
    let Some(driver) = context.reader.get(&CSI_DRIVERS, "", driver) else {
        return false;
    };
    items(&driver.value(), "/spec/tokenRequests")
        .iter()
        .any(|wanted| text(wanted, "/audience") == audience)
}
