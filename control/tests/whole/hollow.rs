//! A control plane in a temporary directory, and nodes without a runtime.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keelson_control::auth::UserInfo;
use keelson_control::controllers::api::{Api, JSON, Patch, Resource, resources};
use keelson_control::controllers::informer::Informer;
use keelson_control::controllers::model::{Pod, Time};
use keelson_control::server::{self, Server};
use keelson_control::store::{Embedded, Options};
use keelson_control::{Config, bootstrap, controllers, pki, scheduler};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// A running control plane; stopped when dropped.
pub struct Cluster {
    /// The administrator.
    pub api: Api,
    tasks: JoinSet<()>,
    _dir: tempfile::TempDir,
}

fn user(name: &str, groups: &[&str]) -> UserInfo {
    let groups = groups
        .iter()
        .chain(&["system:authenticated"])
        .map(|group| (*group).to_owned());
    UserInfo {
        name: name.to_owned(),
        groups: groups.collect(),
        ..UserInfo::default()
    }
}

impl Cluster {
    /// Starts everything, with `nodes` hollow nodes.
    pub async fn start(nodes: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: dir.path().join("control"),
            pki_dir: dir.path().join("pki"),
            listen: "127.0.0.1:0".parse().unwrap(),
            advertise: "127.0.0.1:6443".parse().unwrap(),
            service_cidrs: vec!["10.43.0.0/16".to_owned()],
            cluster_cidrs: vec!["10.42.0.0/16".to_owned()],
            dns_ip: "10.43.0.10".parse().unwrap(),
            cluster_domain: "cluster.local".to_owned(),
            node_ports: (30000, 32767),
            etcd: None,
            encryption: keelson_control::encryption::Settings::default(),
            admission_control_config_file: None,
            dials_loopback: false,
        };
        let request = pki::Request {
            api_sans: Vec::new(),
            service_cidrs: config.service_cidrs.clone(),
            cluster_domain: config.cluster_domain.clone(),
            node_name: "n0".to_owned(),
            node_ip: "127.0.0.1".parse().unwrap(),
        };
        pki::ensure(&config.pki_dir, &request).unwrap();
        let store = Embedded::open(&config.data_dir, &Options::new(server::selectable_fields)).unwrap();
        let server = Server::new(&config, Arc::new(store)).unwrap();
        server.begin(bootstrap::objects(&config)).await.unwrap();
        let api = Api::new(server.client(user("admin", &["system:masters"])));
        let clients = server.clone();
        let clients: controllers::Clients = Arc::new(move |name: &str| {
            if name == controllers::APISERVER {
                return clients.client(user(name, &["system:masters"]));
            }
            let groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system"];
            clients.client(user(
                &format!("system:serviceaccount:kube-system:{name}"),
                &groups,
            ))
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { controllers::run(clients, &config, std::future::pending()).await });
        tasks.spawn(scheduler::run(
            server.client(user("system:kube-scheduler", &[])),
            std::future::pending(),
        ));
        let mut cluster = Self {
            api,
            tasks,
            _dir: dir,
        };
        cluster.run_pods().await;
        // Pods are not admitted before it exists.
        cluster
            .wait_for(
                resources::service_accounts(),
                "default",
                "default",
                Value::is_object,
            )
            .await;
        for number in 0..nodes {
            cluster.add_node(&format!("n{number}"), |_| {}).await;
        }
        cluster
    }

    /// Registers a node as a kubelet does: tainted, then Ready.
    pub async fn add_node(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut node = json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "spec": {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]},
            "status": {
                "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                    "lastHeartbeatTime": Time::now(), "lastTransitionTime": Time::now()}],
            },
        });
        edit(&mut node);
        let created = self
            .api
            .create(resources::nodes(), "", node.clone())
            .await
            .unwrap();
        if created["status"]["conditions"].is_null() {
            let patch = json!({"status": node["status"]});
            self.api
                .patch(resources::nodes(), "", name, "status", Patch::Strategic, &patch)
                .await
                .unwrap();
        }
    }

    /// Says that bound pods run, and lets deleted ones go. A pod with the label `hollow: stuck` never gets ready; one
    /// with `hollow: done` succeeds.
    async fn run_pods(&mut self) {
        let pods: Arc<Informer<Pod>> = Informer::new(resources::pods());
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        pods.on_change(move |_, new| {
            if let Some(pod) = new {
                let _ = sender.send(pod.clone());
            }
        });
        self.tasks.spawn(pods.clone().run(self.api.clone()));
        let api = self.api.clone();
        self.tasks.spawn(async move {
            let mut next = 0u32;
            while let Some(pod) = receiver.recv().await {
                let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
                if pod.spec.node_name.is_empty() {
                    continue;
                }
                if pod.metadata.deleted.is_some() {
                    let options =
                        json!({"gracePeriodSeconds": 0, "preconditions": {"uid": pod.metadata.uid}});
                    let _ = api.delete(resources::pods(), namespace, name, &options).await;
                } else if pod.status.pod_ip.is_empty() && !pod.has_ended() {
                    next += 1;
                    let status = status(&pod, next);
                    let _ = api
                        .patch(
                            resources::pods(),
                            namespace,
                            name,
                            "status",
                            Patch::Strategic,
                            &status,
                        )
                        .await;
                }
            }
        });
        pods.synced().await;
    }

    /// One object, which must exist.
    pub async fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Value {
        self.api
            .get(resource, namespace, name)
            .await
            .unwrap()
            .unwrap_or_default()
    }

    /// The items of a list.
    pub async fn list(&self, resource: &Resource, namespace: &str, query: &str) -> Vec<Value> {
        let path = format!("{}{query}", resource.path(namespace));
        let list: Value = self.api.get_path(&path, JSON).await.unwrap();
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until a check gives something, at most 20 s; `what` names it in the panic.
    pub async fn wait<T, F: Future<Output = Option<T>>>(&self, what: &str, check: impl Fn() -> F) -> T {
        let start = Instant::now();
        loop {
            if let Some(value) = check().await {
                return value;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "waited in vain for {what}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until an object looks right.
    pub async fn wait_for(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        right: impl Fn(&Value) -> bool,
    ) -> Value {
        let start = Instant::now();
        loop {
            let object = self.get(resource, namespace, name).await;
            if right(&object) {
                return object;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{name} stays wrong: {object:#}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until an object does not exist.
    pub async fn wait_gone(&self, resource: &Resource, namespace: &str, name: &str) {
        self.wait_for(resource, namespace, name, Value::is_null).await;
    }
}

fn status(pod: &Pod, number: u32) -> Value {
    let ready = |status: &str| json!({"type": "Ready", "status": status, "lastTransitionTime": Time::now()});
    let kind = pod.metadata.labels.get("hollow").map_or("", String::as_str);
    let (phase, condition) = match kind {
        "stuck" => ("Running", ready("False")),
        "done" => ("Succeeded", ready("False")),
        "fail" => ("Failed", ready("False")),
        _ => ("Running", ready("True")),
    };
    let ip = format!("10.42.{}.{}", number / 250, number % 250 + 1);
    json!({"metadata": {"uid": pod.metadata.uid},
        "status": {"phase": phase, "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [condition]}})
}

/// A deployment of one container.
pub fn deployment(name: &str, replicas: i64, image: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    })
}
