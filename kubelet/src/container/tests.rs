#![allow(clippy::needless_pass_by_value)] // json!() literals are handed over whole

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use keelson_runtime::node::{RootfsSource, Seccomp};
use serde_json::{Value, json};

use super::env::{Objects, environment, references};
use super::fields::{Surroundings, field};
use super::resolv::{Resolver, resolver};
use super::security::confinement;
use super::service_env::{ServiceFacts, service_variables};
use super::spec::{ImageFacts, Parts, build};
use super::{ConfigError, hosts};
use crate::cache::{Kind, Object};

fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1", "labels": {"app": "x", "b": "q\"q"}},
        "spec": spec}))
    .unwrap()
}

fn around() -> Surroundings {
    Surroundings {
        host_ips: vec!["192.168.0.1".parse().unwrap()],
        pod_ips: vec!["10.42.0.5".parse().unwrap()],
        allocatable: [("cpu".to_owned(), 2000), ("memory".to_owned(), 1000 << 30)].into(),
    }
}

fn config_map(data: Value) -> Arc<Object> {
    let map: ConfigMap = serde_json::from_value(json!({"data": data})).unwrap();
    Arc::new(map.into())
}

fn env_of(container: Value, objects: Objects) -> Result<Vec<(String, String)>, ConfigError> {
    let pod = pod(json!({"containers": [container], "serviceAccountName": "sa", "nodeName": "n"}));
    let services = BTreeMap::from([("S_HOST".to_owned(), "10.43.0.9".to_owned())]);
    environment(
        &pod,
        &pod.spec.as_ref().unwrap().containers[0],
        &around(),
        &objects,
        &services,
    )
}

fn get<'a>(env: &'a [(String, String)], key: &str) -> Option<&'a str> {
    env.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
}

#[test]
fn values_expand_in_order() {
    let env = env_of(
        json!({"name": "c", "env": [
            {"name": "A", "value": "1"}, {"name": "B", "value": "$(A)-$(S_HOST)-$(LATER)"},
            {"name": "LATER", "value": "$$(A)"}, {"name": "A", "value": "2"}]}),
        Objects::new(),
    )
    .unwrap();
    assert_eq!(get(&env, "B"), Some("1-10.43.0.9-$(LATER)"));
    assert_eq!(get(&env, "LATER"), Some("$(A)"));
    assert_eq!(get(&env, "A"), Some("2"), "the last value of a name counts");
    assert_eq!(get(&env, "S_HOST"), Some("10.43.0.9"));
}

#[test]
fn env_overrides_env_from() {
    let objects = Objects::from([(
        (Kind::ConfigMap, "m".into()),
        Some(config_map(json!({"K": "map", "L": "l", "a=b": "x"}))),
    )]);
    let container = json!({"name": "c",
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}, {"configMapRef": {"name": "m"}}],
        "env": [{"name": "K", "value": "own"}]});
    let parsed = serde_json::from_value(container.clone()).unwrap();
    assert_eq!(
        references(&parsed),
        BTreeSet::from([(Kind::ConfigMap, "m".to_owned())])
    );
    let env = env_of(container, objects).unwrap();
    assert_eq!(
        (get(&env, "K"), get(&env, "P_K"), get(&env, "L")),
        (Some("own"), Some("map"), Some("l"))
    );
    assert_eq!(get(&env, "a=b"), None);
}

#[test]
fn missing_references_in_upstreams_words() {
    let keyed = |kind: &str, optional: bool| json!({"name": "c", "env": [{"name": "X", "valueFrom": {kind: {"name": "m", "key": "k", "optional": optional}}}]});
    let none = || {
        Objects::from([
            ((Kind::ConfigMap, "m".into()), None),
            ((Kind::Secret, "m".into()), None),
        ])
    };
    let empty = || Objects::from([((Kind::ConfigMap, "m".into()), Some(config_map(json!({}))))]);
    let error = |container, objects| env_of(container, objects).unwrap_err().to_string();
    assert_eq!(
        error(keyed("configMapKeyRef", false), none()),
        "configmap \"m\" not found"
    );
    assert_eq!(
        error(keyed("secretKeyRef", false), none()),
        "secret \"m\" not found"
    );
    assert_eq!(
        error(keyed("configMapKeyRef", false), empty()),
        "couldn't find key k in ConfigMap ns/m"
    );
    assert_eq!(
        get(&env_of(keyed("configMapKeyRef", true), none()).unwrap(), "X"),
        None
    );
    assert_eq!(
        get(&env_of(keyed("configMapKeyRef", true), empty()).unwrap(), "X"),
        None
    );
}

#[test]
fn downward_fields() {
    let pod = pod(json!({"containers": [], "nodeName": "n"}));
    let value = |path: &str| field(&pod, &around(), path);
    assert_eq!(value("metadata.name").unwrap(), "p");
    assert_eq!(value("metadata.labels['app']").unwrap(), "x");
    assert_eq!(value("metadata.labels").unwrap(), "app=\"x\"\nb=\"q\\\"q\"");
    assert_eq!(value("status.podIP").unwrap(), "10.42.0.5");
    assert_eq!(value("spec.nodeName").unwrap(), "n");
    assert!(value("spec.containers").is_err());
}

#[test]
fn resource_fields_round_up_and_fall_back_to_the_node() {
    let ask = |resource: &str, divisor: &str| json!({"name": "X", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}});
    let value = |resource, divisor| {
        let container = json!({"name": "c", "env": [ask(resource, divisor)],
            "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "250m"}}});
        get(&env_of(container, Objects::new()).unwrap(), "X")
            .unwrap()
            .to_owned()
    };
    assert_eq!(value("limits.memory", "1Mi"), "64");
    assert_eq!(value("limits.memory", "0"), (64 << 20).to_string());
    assert_eq!(value("requests.cpu", "1"), "1");
    assert_eq!(value("requests.cpu", "1m"), "250");
    assert_eq!(value("limits.cpu", "1"), "2");
    assert_eq!(value("requests.memory", "1"), "0");
}

#[test]
fn service_variables_of_namespace_and_master() {
    let service = |namespace: &str, name: &str, ip: &str| ServiceFacts {
        namespace: namespace.into(),
        name: name.into(),
        cluster_ip: ip.into(),
        ports: vec![("http".into(), "TCP".into(), 80)],
    };
    let all = [
        service("default", "kubernetes", "10.43.0.1"),
        service("ns", "my-svc", "10.43.0.2"),
        service("ns", "headless", "None"),
        service("other", "far", "10.43.0.3"),
    ];
    let vars = service_variables(all.iter(), "ns", true);
    assert_eq!(vars["KUBERNETES_SERVICE_HOST"], "10.43.0.1");
    assert_eq!(vars["MY_SVC_SERVICE_PORT_HTTP"], "80");
    assert_eq!(vars["MY_SVC_PORT_80_TCP"], "tcp://10.43.0.2:80");
    assert!(
        !vars
            .keys()
            .any(|k| k.starts_with("FAR") || k.starts_with("HEADLESS"))
    );
    let without = service_variables(all.iter(), "ns", false);
    assert!(without.contains_key("KUBERNETES_SERVICE_PORT") && !without.contains_key("MY_SVC_SERVICE_HOST"));
}

#[test]
fn resolver_policies() {
    let host =
        Resolver::parse("# c\nnameserver 9.9.9.9\nsearch corp.example .\noptions timeout:1\nnonsense\n");
    let dns = "10.43.0.10".parse().unwrap();
    let of = |spec: Value| resolver(&pod(spec), &host, dns, "cluster.local").text();
    assert_eq!(
        of(json!({"containers": []})),
        "search ns.svc.cluster.local svc.cluster.local cluster.local corp.example\nnameserver 10.43.0.10\noptions \
         ndots:5\n"
    );
    let default = "search corp.example\nnameserver 9.9.9.9\noptions timeout:1\n";
    assert_eq!(of(json!({"containers": [], "dnsPolicy": "Default"})), default);
    assert_eq!(of(json!({"containers": [], "hostNetwork": true})), default);
    assert_eq!(
        of(
            json!({"containers": [], "dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"],
            "searches": ["a"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}})
        ),
        "search a\nnameserver 1.1.1.1\noptions ndots:2 edns0\n"
    );
}

#[test]
fn hosts_file() {
    let plain = hosts::content(
        &pod(json!({"containers": []})),
        &around().pod_ips,
        "cluster.local",
        None,
    );
    assert!(plain.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"));
    assert!(plain.ends_with("10.42.0.5\tp\n"));
    let named = pod(json!({"containers": [], "hostname": "h", "subdomain": "s",
        "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["x", "y"]}]}));
    let text = hosts::content(&named, &around().pod_ips, "cluster.local", None);
    assert!(text.contains("10.42.0.5\th.s.ns.svc.cluster.local\th\n"));
    assert!(text.ends_with("\n# Entries added by HostAliases.\n1.2.3.4\tx\ty\n"));
    let host = hosts::content(
        &pod(json!({"containers": []})),
        &[],
        "cluster.local",
        Some("127.0.0.1 me\n"),
    );
    assert_eq!(
        host,
        "# Kubernetes-managed hosts file (host network).\n127.0.0.1 me\n"
    );
}

#[test]
fn long_host_names_are_cut_cleanly() {
    let mut long = pod(json!({"containers": []}));
    long.metadata.name = Some(format!("{}-{}", "a".repeat(62), "b".repeat(20)));
    assert_eq!(hosts::hostname(&long, "cluster.local").0, "a".repeat(62));
}

fn image() -> ImageFacts {
    ImageFacts {
        id: "sha256:1".into(),
        rootfs: RootfsSource::Layers(vec![]),
        entrypoint: vec!["/entry".into()],
        cmd: vec!["cmd".into()],
        env: vec!["PATH=/bin".into(), "A=image".into()],
        working_dir: "/work".into(),
        user: "100".into(),
        stop_signal: None,
    }
}

fn built(container: Value) -> Result<keelson_runtime::node::ContainerSpec, ConfigError> {
    let pod = pod(json!({"containers": [container]}));
    let container = &pod.spec.as_ref().unwrap().containers[0];
    build(Parts {
        pod: &pod,
        container,
        id: "i".into(),
        attempt: 3,
        image: &image(),
        env: vec![("A".into(), "pod".into())],
        hostname: "p",
        confinement: confinement(&pod, container, "100", Path::new("/seccomp"))?,
        resources: keelson_runtime::node::Resources::default(),
        volumes: &BTreeMap::from([("v".to_owned(), PathBuf::from("/host/v"))]),
        read_only_volumes: &BTreeSet::from(["v".to_owned()]),
        files: vec![("/kl/hosts".into(), "/etc/hosts".into())],
        log_path: "/log".into(),
    })
}

#[test]
fn command_and_args_over_the_image() {
    let args = |c: Value| built(c).unwrap().args;
    assert_eq!(args(json!({"name": "c"})), ["/entry", "cmd"]);
    assert_eq!(
        args(json!({"name": "c", "args": ["$(A)", "$$(A)"]})),
        ["/entry", "pod", "$(A)"]
    );
    assert_eq!(args(json!({"name": "c", "command": ["/x"]})), ["/x"]);
    assert_eq!(
        args(json!({"name": "c", "command": ["/x"], "args": ["y"]})),
        ["/x", "y"]
    );
}

#[test]
fn environment_of_image_and_pod() {
    let env = built(json!({"name": "c", "tty": true})).unwrap().env;
    assert_eq!(env, ["PATH=/bin", "HOSTNAME=p", "TERM=xterm", "A=pod"]);
}

#[test]
fn mounts_and_managed_files() {
    let spec = built(json!({"name": "c", "volumeMounts": [
        {"name": "v", "mountPath": "/a/b", "subPathExpr": "x/$(A)"}, {"name": "v", "mountPath": "/a"},
        {"name": "v", "mountPath": "/etc/hosts"}]}))
    .unwrap();
    let targets: Vec<_> = spec.mounts.iter().map(|m| m.target.to_str().unwrap()).collect();
    assert_eq!(
        targets,
        ["/a", "/a/b", "/etc/hosts"],
        "parents first; a volume replaces the managed file"
    );
    assert_eq!(spec.mounts[1].sub_path.as_deref(), Some(Path::new("x/pod")));
    assert!(
        spec.mounts[0].read_only,
        "content written by the kubelet cannot be written by containers"
    );
    for sub_path in ["../x", "/abs", "a/../../b"] {
        let bad =
            json!({"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": sub_path}]});
        assert!(built(bad).is_err(), "{sub_path}");
    }
    let missing =
        json!({"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/a", "subPathExpr": "$(NOPE)"}]});
    assert!(built(missing).is_err());
    assert!(built(json!({"name": "c", "volumeMounts": [{"name": "w", "mountPath": "/a"}]})).is_err());
}

#[test]
fn security_contexts_merge() {
    let pod = pod(json!({
        "securityContext": {"runAsUser": 1, "fsGroup": 5, "supplementalGroups": [7], "runAsNonRoot": true},
        "containers": [{"name": "c", "securityContext": {"runAsUser": 2, "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["CAP_NET_ADMIN"], "drop": ["all"]},
            "seccompProfile": {"type": "Localhost", "localhostProfile": "p/x.json"}}}]}));
    let c = confinement(
        &pod,
        &pod.spec.as_ref().unwrap().containers[0],
        "root",
        Path::new("/s"),
    )
    .unwrap();
    assert_eq!((c.user.uid, c.user.additional_gids), (Some(2), vec![7, 5]));
    assert_eq!(
        (c.cap_add, c.cap_drop),
        (vec!["NET_ADMIN".to_owned()], vec!["ALL".to_owned()])
    );
    assert!(c.no_new_privileges);
    assert_eq!(c.seccomp, Seccomp::Localhost("/s/p/x.json".into()));
}

#[test]
fn root_is_refused_where_it_must_be() {
    let of = |user: Option<i64>, image_user: &str| {
        let pod = pod(
            json!({"containers": [{"name": "c", "securityContext": {"runAsNonRoot": true, "runAsUser": user}}]}),
        );
        confinement(
            &pod,
            &pod.spec.as_ref().unwrap().containers[0],
            image_user,
            Path::new("/s"),
        )
        .map(drop)
    };
    assert!(of(Some(1), "root").is_ok());
    assert!(of(None, "1000:1000").is_ok());
    assert!(
        of(Some(0), "1000")
            .unwrap_err()
            .to_string()
            .starts_with("container's runAsUser breaks non-root policy")
    );
    assert!(
        of(None, "")
            .unwrap_err()
            .to_string()
            .starts_with("container has runAsNonRoot and image will run as root")
    );
    assert!(of(None, "0").is_err());
    assert!(
        of(None, "app")
            .unwrap_err()
            .to_string()
            .contains("image has non-numeric user (app)")
    );
    assert!(of(None, "4294967296").is_err());
    assert!(of(Some(1 << 33), "").is_err());
}

#[test]
fn seccomp_profiles_cannot_leave_their_directory() {
    for name in ["../x", "/etc/x", ""] {
        let pod = pod(json!({"containers": [{"name": "c",
            "securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": name}}}]}));
        let c = &pod.spec.as_ref().unwrap().containers[0];
        assert!(confinement(&pod, c, "", Path::new("/s")).is_err(), "{name}");
    }
}
