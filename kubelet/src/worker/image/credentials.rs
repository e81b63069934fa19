//! Registry credentials from `imagePullSecrets`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use keelson_runtime::image::{Credentials, DockerConfig};

use crate::cache::Kind;
use crate::worker::Context;

/// Credentials for an image from the first of the pod's secrets that has some.
pub(super) async fn find(context: &Arc<Context>, pod: &Pod, image: &str) -> Credentials {
    let (Some(namespace), Some(uid)) = (pod.metadata.namespace.as_deref(), pod.metadata.uid.as_deref())
    else {
        return Credentials::Anonymous;
    };
    let secrets = pod
        .spec
        .iter()
        .flat_map(|spec| spec.image_pull_secrets.iter().flatten());
    for reference in secrets {
        // A missing secret is not an error: the image may be public.
        let Ok(Some(secret)) = context
            .objects
            .get(uid, Kind::Secret, namespace, &reference.name)
            .await
        else {
            continue;
        };
        let current = secret
            .data
            .get(".dockerconfigjson")
            .map(|data| DockerConfig::parse(data));
        let legacy = secret
            .data
            .get(".dockercfg")
            .map(|data| DockerConfig::parse_legacy(data));
        for config in [current, legacy].into_iter().flatten() {
            match config {
                Ok(config) => {
                    if let Some(found) = config.credentials(image) {
                        return found;
                    }
                }
                Err(error) => {
                    tracing::warn!(namespace, secret = reference.name, %error, "an image pull secret cannot be read");
                }
            }
        }
    }
    Credentials::Anonymous
}
