//! Keeps `kube-public/cluster-info`: a kubeconfig without credentials, signed with every bootstrap token that may sign.
//! Who knows a token can read it without trusting the connection, which is how a machine joins (`kubeadm join`).
//!
//! Source: `k8s.io/kubernetes/pkg/controller/bootstrap/bootstrapsigner.go`; the kubeconfig itself is made by kubeadm there.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::json;
use tokio::task::JoinSet;

use super::super::api::{Api, Error, resources};
use super::super::informer::{Informer, Next, Queue};
use super::super::model::{ConfigMap, Time, TokenSecret};
use super::super::{Context, authority};
use super::{CLUSTER_INFO, PUBLIC_NAMESPACE};

const NAME: &str = "bootstrap-signer";
/// Key of the kubeconfig.
const KUBECONFIG: &str = "kubeconfig";
/// Before the token's id in the key of a signature.
const SIGNATURE: &str = "jws-kubeconfig-";

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let queue: Arc<Queue<()>> = Queue::new();
    let adder = queue.clone();
    context.token_secrets.on_change(move |_, _| adder.add(()));
    let adder = queue.clone();
    context.cluster_info.on_change(move |_, _| adder.add(()));
    let pki_dir = context.config.pki_dir.clone();
    let server = format!("https://{}", context.config.advertise);
    let (api, secrets, info) = (
        context.api(NAME),
        context.token_secrets.clone(),
        context.cluster_info.clone(),
    );
    tasks.spawn(async move {
        let kubeconfig = kubeconfig(&server, authority::read(&pki_dir).await.as_bytes());
        secrets.synced().await;
        info.synced().await;
        queue
            .work(NAME, |()| sign(&api, &secrets, &info, &kubeconfig))
            .await;
    });
}

async fn sign(
    api: &Api,
    secrets: &Informer<TokenSecret>,
    info: &Informer<ConfigMap>,
    kubeconfig: &str,
) -> Result<Next, Error> {
    let Some(found) = info.store().get(PUBLIC_NAMESPACE, CLUSTER_INFO) else {
        // Made at every start; whoever deletes it does not want it.
        return Ok(Next::Wait);
    };
    let now = Time::now().0;
    let tokens: Vec<_> = secrets
        .store()
        .all()
        .iter()
        .filter_map(|secret| secret.data.signer(&secret.metadata.name, now))
        .collect();
    let wanted = signed(&found.data, kubeconfig, &tokens);
    if wanted == found.data {
        return Ok(Next::Wait);
    }
    api.edit(
        resources::config_maps(),
        (PUBLIC_NAMESPACE, CLUSTER_INFO, &found.metadata.uid),
        "",
        |map| {
            map["data"] = json!(wanted);
            true
        },
    )
    .await?;
    Ok(Next::Wait)
}

/// The ConfigMap's data: what was there, the kubeconfig, and the signatures of these tokens and no others.
fn signed(
    data: &BTreeMap<String, String>,
    kubeconfig: &str,
    tokens: &[(String, String)],
) -> BTreeMap<String, String> {
    let mut wanted = data.clone();
    wanted.retain(|key, _| !key.starts_with(SIGNATURE));
    wanted.insert(KUBECONFIG.to_owned(), kubeconfig.to_owned());
    for (id, secret) in tokens {
        wanted.insert(format!("{SIGNATURE}{id}"), signature(kubeconfig, id, secret));
    }
    wanted
}

/// A JWS (RFC 7515) with HS256 whose payload is left out (its appendix F).
pub(super) fn signature(content: &str, id: &str, secret: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"HS256\",\"kid\":\"{id}\"}}"));
    let payload = URL_SAFE_NO_PAD.encode(content);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{header}.{payload}").as_bytes());
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(tag))
}

/// A kubeconfig that names the server and its authority and nobody who might log in.
fn kubeconfig(server: &str, authority: &[u8]) -> String {
    let cluster = json!({"certificate-authority-data": STANDARD.encode(authority), "server": server});
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "", "cluster": cluster}],
        "contexts": null,
        "current-context": "",
        "preferences": {},
        "users": null,
    });
    // A `Value` with text keys always makes YAML.
    serde_yaml_ng::to_string(&config).unwrap_or_default()
}
