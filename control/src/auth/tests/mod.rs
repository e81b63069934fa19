//! Attacks on credentials, and the answers of the reviews.

mod bootstrap_token;
mod credentials;
mod front_proxy;
mod impersonation;
mod reviews;
mod tokens;

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::memory::Memory;
use super::resources::{NODES, PODS, SECRETS, SERVICE_ACCOUNTS};
use super::{Authenticator, Presented, UserInfo};

/// An authenticator over fresh keys, with one service account, pod, node and secret.
struct Fixture {
    dir: tempfile::TempDir,
    memory: Arc<Memory>,
    authenticator: Authenticator,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    crate::pki::ensure(
        dir.path(),
        &crate::pki::Request {
            api_sans: Vec::new(),
            service_cidrs: vec!["10.43.0.0/16".to_owned()],
            cluster_domain: "cluster.local".to_owned(),
            node_name: "n1".to_owned(),
            node_ip: "192.0.2.1".parse().unwrap(),
        },
    )
    .unwrap();
    let memory = Arc::new(Memory::default());
    memory.put(
        &SERVICE_ACCOUNTS,
        &json!({"metadata": {"namespace": "a", "name": "robot", "uid": "sa-uid"}}),
    );
    memory.put(&NODES, &json!({"metadata": {"name": "n1", "uid": "node-uid"}}));
    memory.put(
        &PODS,
        &json!({
            "metadata": {"namespace": "a", "name": "pod", "uid": "pod-uid"},
            "spec": {"serviceAccountName": "robot", "nodeName": "n1"},
        }),
    );
    memory.put(
        &SECRETS,
        &json!({"metadata": {"namespace": "a", "name": "secret", "uid": "secret-uid"}}),
    );
    let authenticator = Authenticator::new(dir.path(), memory.clone()).unwrap();
    Fixture {
        dir,
        memory,
        authenticator,
    }
}

impl Fixture {
    fn certificate(&self, base: &str) -> Presented {
        Presented::new(self.file(&format!("{base}.crt")))
    }

    fn file(&self, name: &str) -> rustls_pki_types::CertificateDer<'static> {
        crate::pki::certificates(&Path::new(self.dir.path()).join(name))
            .unwrap()
            .remove(0)
    }

    #[allow(clippy::needless_pass_by_value)] // reads better at the call: `json!` without a borrow
    fn token(&self, spec: serde_json::Value) -> String {
        let answer = self
            .authenticator
            .issue_token("a", "robot", &json!({"spec": spec}))
            .unwrap();
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    fn bearer(&self, token: &str) -> Result<UserInfo, u16> {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        self.authenticator
            .authenticate(None, &headers)
            .map_err(|status| status.code)
    }
}
