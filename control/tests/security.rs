//! A tenant, a node and a stranger against the real server over TLS: what each tries must fail as upstream fails it,
//! and what each may do must work. Line "A tenant escalates ..." and "One node's credentials ..." of the attack list.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request};
use keelson_control::{Config, pki};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

struct Cluster {
    dir: tempfile::TempDir,
    address: SocketAddr,
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Result<(), keelson_control::Error>>,
}

impl Cluster {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        let pki_dir = dir.path().join("pki");
        for node_name in ["n1", "n2"] {
            let request = pki::Request {
                api_sans: vec!["127.0.0.1".to_owned()],
                service_cidrs: vec!["10.43.0.0/16".to_owned()],
                cluster_domain: "cluster.local".to_owned(),
                node_name: node_name.to_owned(),
                node_ip: "192.0.2.1".parse().unwrap(),
            };
            pki::ensure(&pki_dir, &request).unwrap();
        }
        let config = Config {
            data_dir: dir.path().join("control"),
            pki_dir,
            listen: address,
            advertise: address,
            service_cidrs: vec!["10.43.0.0/16".to_owned()],
            cluster_cidrs: vec!["10.42.0.0/16".to_owned()],
            dns_ip: "10.43.0.10".parse().unwrap(),
            cluster_domain: "cluster.local".to_owned(),
            node_ports: (30000, 32767),
        };
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(keelson_control::run(config, async {
            let _ = stopped.await;
        }));
        let cluster = Self {
            dir,
            address,
            stop,
            task,
        };
        let admin = cluster.certificate("admin").await;
        cluster
            .eventually("ready", async || {
                admin.ask(Method::GET, "/readyz", None).await.0 == 200
            })
            .await;
        cluster
    }

    /// Tries until it is true; the test ends after 20 seconds.
    async fn eventually(&self, what: &str, is: impl AsyncFn() -> bool) {
        for _ in 0..400 {
            assert!(!self.task.is_finished(), "the control plane has ended");
            if is().await {
                return;
            }
            // Polling stands in for a user who looks again.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not {what} in time");
    }

    async fn certificate(&self, base: &str) -> Caller {
        let path = self.dir.path().join(format!("{base}.kubeconfig"));
        let url = format!("https://{}", self.address);
        pki::write_kubeconfig(&path, &url, &self.dir.path().join("pki"), base, base).unwrap();
        Caller::new(&path, |_| {}).await
    }

    /// A caller with a bearer token, or with nothing.
    async fn token(&self, token: Option<&str>) -> Caller {
        let path = self.dir.path().join("admin.kubeconfig");
        Caller::new(&path, |config| {
            let auth = config.auth_infos[0].auth_info.get_or_insert_default();
            auth.client_certificate_data = None;
            auth.client_key_data = None;
            auth.token = token.map(|token| token.to_owned().into());
        })
        .await
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap().unwrap();
    }
}

struct Caller(Client);

impl Caller {
    async fn new(path: &Path, change: impl FnOnce(&mut Kubeconfig)) -> Self {
        let mut kubeconfig = Kubeconfig::read_from(path).unwrap();
        change(&mut kubeconfig);
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap();
        Self(Client::try_from(config).unwrap())
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        self.with(method, path, body, &[]).await
    }

    async fn with(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        let patch = method == Method::PATCH;
        let mut request = Request::builder().method(method).uri(path);
        let kind = if patch {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        request = request.header("content-type", kind);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let Ok(response) = self.0.send(request.body(body.into()).unwrap()).await else {
            return (0, Value::Null);
        };
        let status = response.status().as_u16();
        let bytes = http_body_util::BodyExt::collect(response.into_body())
            .await
            .unwrap()
            .to_bytes();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into()),
        )
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, None).await
    }

    async fn create(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::POST, path, Some(body)).await
    }
}

fn message(answer: &(u16, Value)) -> &str {
    answer.1["message"].as_str().unwrap_or_default()
}

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks() {
    let cluster = Cluster::start().await;
    let admin = cluster.certificate("admin").await;
    for namespace in ["tenant", "other"] {
        let answer = admin
            .create("/api/v1/namespaces", json!({"metadata": {"name": namespace}}))
            .await;
        assert_eq!(answer.0, 201, "{answer:?}");
    }
    strangers(&cluster).await;
    tenant(&cluster, &admin).await;
    node(&cluster, &admin).await;
    services(&admin).await;
    workloads(&cluster, &admin).await;
    cluster.stop().await;
}

async fn strangers(cluster: &Cluster) {
    let anonymous = cluster.token(None).await;
    assert_eq!(anonymous.get("/version").await.0, 200);
    let answer = anonymous.get("/api/v1/namespaces/default/pods").await;
    assert_eq!(
        (answer.0, message(&answer)),
        (
            403,
            "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" in the \
               namespace \"default\""
        )
    );
    assert_eq!(anonymous.get("/metrics").await.0, 403);
    for forged in [
        "x",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06YWRtaW4ifQ.",
        &"a".repeat(9000),
    ] {
        assert_eq!(
            cluster.token(Some(forged)).await.get("/version").await.0,
            401,
            "{forged:.20}"
        );
    }
}

async fn tenant(cluster: &Cluster, admin: &Caller) {
    let accounts = "/api/v1/namespaces/tenant/serviceaccounts";
    assert_eq!(
        admin
            .create(accounts, json!({"metadata": {"name": "robot"}}))
            .await
            .0,
        201
    );
    let answer = admin
        .create(&format!("{accounts}/robot/token"), json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600},
        }))
        .await;
    assert_eq!(answer.0, 201, "{answer:?}");
    let token = answer.1["status"]["token"].as_str().unwrap();
    let robot = cluster.token(Some(token)).await;
    let whoami = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let answer = robot
        .create("/apis/authentication.k8s.io/v1/selfsubjectreviews", whoami)
        .await;
    assert_eq!(
        answer.1["status"]["userInfo"]["username"], "system:serviceaccount:tenant:robot",
        "{answer:?}"
    );
    assert_eq!(robot.get("/api/v1/namespaces/tenant/pods").await.0, 403);

    // As admin of one namespace it may do what `admin` says, there.
    let binding = json!({
        "metadata": {"name": "robot"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "tenant"}],
    });
    let bindings = format!("{RBAC}/namespaces/tenant/rolebindings");
    assert_eq!(admin.create(&bindings, binding.clone()).await.0, 201);
    assert_eq!(robot.get("/api/v1/namespaces/tenant/secrets").await.0, 200);
    for path in [
        "/api/v1/namespaces/other/secrets",
        "/api/v1/secrets",
        "/api/v1/nodes",
        "/metrics",
    ] {
        assert_eq!(robot.get(path).await.0, 403, "{path}");
    }

    // Not more by roles and bindings.
    let mut cluster_admin = binding.clone();
    cluster_admin["metadata"]["name"] = "more".into();
    cluster_admin["roleRef"]["name"] = "cluster-admin".into();
    let answer = robot.create(&bindings, cluster_admin.clone()).await;
    assert_eq!(answer.0, 403);
    assert!(
        message(&answer).contains("is attempting to grant RBAC permissions not currently held"),
        "{answer:?}"
    );
    assert_eq!(
        robot
            .create(&format!("{RBAC}/clusterrolebindings"), cluster_admin)
            .await
            .0,
        403
    );
    assert_eq!(
        robot
            .create(&format!("{RBAC}/namespaces/other/rolebindings"), binding)
            .await
            .0,
        403
    );
    let role = |verb: &str| {
        json!({
            "metadata": {"name": "mine"},
            "rules": [{"verbs": [verb], "apiGroups": [""], "resources": ["nodes"]}],
        })
    };
    let roles = format!("{RBAC}/namespaces/tenant/roles");
    assert_eq!(robot.create(&roles, role("get")).await.0, 403);
    let harmless = json!({
        "metadata": {"name": "mine"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
    });
    assert_eq!(robot.create(&roles, harmless).await.0, 201);
    let patch = json!({"rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]});
    assert_eq!(
        robot
            .ask(Method::PATCH, &format!("{roles}/mine"), Some(patch))
            .await
            .0,
        403
    );

    // Not by impersonation.
    for headers in [
        &[("Impersonate-User", "kubernetes-admin")][..],
        &[("Impersonate-User", "system:serviceaccount:other:default")],
        &[
            ("Impersonate-User", "system:serviceaccount:tenant:default"),
            ("Impersonate-Group", "system:masters"),
        ],
    ] {
        let answer = robot.with(Method::GET, "/api/v1/nodes", None, headers).await;
        assert_eq!(answer.0, 403, "{headers:?}");
        assert!(message(&answer).contains("cannot impersonate"), "{answer:?}");
    }

    // Not by other people's tokens and pods.
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    for path in [
        "/api/v1/namespaces/kube-system/serviceaccounts/generic-garbage-collector/token",
        "/api/v1/namespaces/other/serviceaccounts/default/token",
        "/api/v1/namespaces/other/pods/x/exec",
        "/api/v1/namespaces/other/pods/x/eviction",
    ] {
        assert_eq!(robot.create(path, request.clone()).await.0, 403, "{path}");
    }
    assert_eq!(robot.get("/api/v1/nodes/n1/proxy/pods").await.0, 403);

    // A token in a secret is the account's too, and lives in the secret.
    let secret = json!({
        "metadata": {"name": "t", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "type": "kubernetes.io/service-account-token",
    });
    let answer = admin.create("/api/v1/namespaces/tenant/secrets", secret).await;
    assert_eq!(answer.0, 201, "{answer:?}");
    let decoded = STANDARD
        .decode(answer.1["data"]["token"].as_str().unwrap())
        .unwrap();
    let legacy = cluster.token(Some(std::str::from_utf8(&decoded).unwrap())).await;
    assert_eq!(legacy.get("/api/v1/namespaces/tenant/secrets").await.0, 200);
    assert_eq!(
        admin
            .ask(Method::DELETE, "/api/v1/namespaces/tenant/secrets/t", None)
            .await
            .0,
        200
    );
    assert_eq!(legacy.get("/api/v1/namespaces/tenant/secrets").await.0, 401);

    // The token ends with its account.
    assert_eq!(
        admin
            .ask(Method::DELETE, &format!("{accounts}/robot"), None)
            .await
            .0,
        200
    );
    assert_eq!(robot.get("/api/v1/namespaces/tenant/secrets").await.0, 401);
}

async fn node(cluster: &Cluster, admin: &Caller) {
    let (one, two) = (
        cluster.certificate("kubelet-n1").await,
        cluster.certificate("kubelet-n2").await,
    );
    for (caller, name) in [(&one, "n1"), (&two, "n2")] {
        let answer = caller
            .create("/api/v1/nodes", json!({"metadata": {"name": name}}))
            .await;
        assert_eq!(answer.0, 201, "{answer:?}");
    }
    assert_eq!(one.get("/api/v1/nodes/n1").await.0, 200);
    assert_eq!(one.get("/api/v1/nodes/n2").await.0, 403);
    assert_eq!(one.get("/api/v1/nodes").await.0, 403);
    let status = json!({"status": {"nodeInfo": {"kubeletVersion": "x"}}});
    assert_eq!(
        one.ask(Method::PATCH, "/api/v1/nodes/n2/status", Some(status))
            .await
            .0,
        403
    );
    let taints = json!({"spec": {"taints": null}});
    assert_eq!(
        one.ask(Method::PATCH, "/api/v1/nodes/n1", Some(taints)).await.0,
        403
    );

    let secrets = "/api/v1/namespaces/tenant/secrets";
    for name in ["mine", "theirs"] {
        assert_eq!(
            admin.create(secrets, json!({"metadata": {"name": name}})).await.0,
            201
        );
    }
    cluster
        .eventually("provided with a service account", async || {
            admin
                .get("/api/v1/namespaces/tenant/serviceaccounts/default")
                .await
                .0
                == 200
        })
        .await;
    for (pod, node, secret) in [("p1", "n1", "mine"), ("p2", "n2", "theirs")] {
        let pod = json!({
            "metadata": {"name": pod},
            "spec": {
                "nodeName": node,
                "containers": [{"name": "c", "image": "busybox:1.36"}],
                "volumes": [{"name": "s", "secret": {"secretName": secret}}],
            },
        });
        let answer = admin.create("/api/v1/namespaces/tenant/pods", pod).await;
        assert_eq!(answer.0, 201, "{answer:?}");
    }
    assert_eq!(one.get(&format!("{secrets}/mine")).await.0, 200);
    assert_eq!(one.get(&format!("{secrets}/theirs")).await.0, 403);
    assert_eq!(one.get(secrets).await.0, 403);
    assert_eq!(
        one.get(&format!("{secrets}?fieldSelector=metadata.name%3Dmine"))
            .await
            .0,
        200
    );
    assert_eq!(
        one.get(&format!("{secrets}?fieldSelector=metadata.name%3Dtheirs"))
            .await
            .0,
        403
    );
    assert_eq!(
        one.get("/api/v1/namespaces/tenant/configmaps/kube-root-ca.crt")
            .await
            .0,
        200
    );
    assert_eq!(one.get("/api/v1/pods").await.0, 403);
    assert_eq!(
        one.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn2").await.0,
        403
    );
    let own = one.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1").await;
    assert_eq!(
        (own.0, own.1["items"].as_array().map(Vec::len)),
        (200, Some(1)),
        "{own:?}"
    );
    let theirs = "/api/v1/namespaces/tenant/pods/p2";
    let status = json!({"status": {"phase": "Failed"}});
    assert_eq!(
        one.ask(Method::PATCH, &format!("{theirs}/status"), Some(status.clone()))
            .await
            .0,
        403
    );
    assert_eq!(one.ask(Method::DELETE, theirs, None).await.0, 403);
    assert_eq!(
        one.ask(
            Method::PATCH,
            "/api/v1/namespaces/tenant/pods/p1/status",
            Some(status)
        )
        .await
        .0,
        200
    );

    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    assert_eq!(
        one.create(leases, json!({"metadata": {"name": "n1"}, "spec": {}}))
            .await
            .0,
        201
    );
    assert_eq!(
        one.create(leases, json!({"metadata": {"name": "n2"}, "spec": {}}))
            .await
            .0,
        403
    );

    let token = |bound: Value| {
        json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"boundObjectRef": bound},
        })
    };
    let uid = own.1["items"][0]["metadata"]["uid"].clone();
    let path = "/api/v1/namespaces/tenant/serviceaccounts/default/token";
    let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "p1", "uid": uid});
    assert_eq!(one.create(path, token(bound)).await.0, 201);
    let others = admin.get(theirs).await.1["metadata"]["uid"].clone();
    let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "p2", "uid": others});
    assert_eq!(one.create(path, token(bound)).await.0, 403);
    assert_eq!(
        one.create(path, token(Value::Null)).await.0,
        403,
        "a node's tokens are bound to its pods"
    );
}

/// Created all at once, no two Services share an address or a port.
async fn services(admin: &Caller) {
    let make = |number: usize| async move {
        let service = json!({
            "metadata": {"name": format!("s{number}")},
            "spec": {"type": "NodePort", "ports": [{"port": 80}], "selector": {"app": "x"}},
        });
        admin.create("/api/v1/namespaces/tenant/services", service).await
    };
    let made = futures::future::join_all((0..60).map(make)).await;
    let mut seen = std::collections::BTreeSet::new();
    for answer in &made {
        assert_eq!(answer.0, 201, "{answer:?}");
        let spec = &answer.1["spec"];
        assert!(
            seen.insert(spec["clusterIP"].to_string())
                && seen.insert(spec["ports"][0]["nodePort"].to_string())
        );
    }
    let taken = json!({
        "metadata": {"name": "dns"}, "spec": {"clusterIP": "10.43.0.10", "ports": [{"port": 53}]},
    });
    let answer = admin.create("/api/v1/namespaces/tenant/services", taken).await;
    assert_eq!(answer.0, 422);
    assert!(
        message(&answer).contains("provided IP is already allocated"),
        "{answer:?}"
    );
}

/// The controllers' and the scheduler's default roles are enough for their work.
async fn workloads(cluster: &Cluster, admin: &Caller) {
    let deployment = json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "busybox:1.36"}]},
            },
        },
    });
    let answer = admin
        .create("/apis/apps/v1/namespaces/tenant/deployments", deployment)
        .await;
    assert_eq!(answer.0, 201, "{answer:?}");
    let pods = "/api/v1/namespaces/tenant/pods?labelSelector=app%3Dweb";
    cluster
        .eventually("running two pods", async || {
            let list = admin.get(pods).await.1;
            let pods = list["items"].as_array().cloned().unwrap_or_default();
            pods.len() == 2
                && pods
                    .iter()
                    .all(|pod| pod["spec"]["volumes"][0]["projected"].is_object())
        })
        .await;
    let status = "/apis/apps/v1/namespaces/tenant/deployments/web";
    cluster
        .eventually("counted", async || {
            admin.get(status).await.1["status"]["replicas"] == 2
        })
        .await;
}
