//! The tables mean what upstream's roles mean.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::auth::memory::Memory;
use crate::auth::{Attributes, Authorizer, UserInfo};
use crate::object::GroupResource;

fn config() -> Config {
    Config {
        data_dir: "/nonexistent".into(),
        pki_dir: "/nonexistent".into(),
        listen: "127.0.0.1:6443".parse().unwrap(),
        advertise: "192.0.2.1:6443".parse().unwrap(),
        service_cidrs: vec!["10.43.0.0/16".to_owned()],
        cluster_cidrs: vec!["10.42.0.0/16".to_owned()],
        dns_ip: "10.43.0.10".parse().unwrap(),
        cluster_domain: "cluster.local".to_owned(),
        node_ports: (30000, 32767),
        etcd: None,
        encryption: crate::encryption::Settings::default(),
        admission_control_config_file: None,
        dials_loopback: false,
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "Endpoints" => "endpoints".to_owned(),
        "PriorityClass" => "priorityclasses".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    }
}

fn authorizer() -> Authorizer {
    let memory = Memory::default();
    for object in objects(&config()) {
        let api = object["apiVersion"].as_str().unwrap();
        let group = api.split_once('/').map_or("", |(group, _)| group);
        memory.put(
            &GroupResource::new(group, &plural(object["kind"].as_str().unwrap())),
            &object,
        );
    }
    Authorizer::new(Arc::new(memory))
}

fn user(name: &str, groups: &[&str]) -> UserInfo {
    UserInfo {
        name: name.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..UserInfo::default()
    }
}

#[test]
fn every_line_of_the_tables_is_a_rule() {
    for (name, _, text) in roles::ROLES
        .iter()
        .chain(roles::NAMESPACED)
        .chain(controllers::ROLES)
    {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            assert!(notation::rule(line).is_some(), "{name}: {line}");
        }
        assert!(!notation::rules(text).is_empty(), "{name}");
    }
    assert_eq!(
        notation::rule("delete,read core,apps pods,pods/log =a,b").unwrap(),
        Rule {
            verbs: ["delete", "get", "list", "watch"].map(str::to_owned).to_vec(),
            api_groups: ["", "apps"].map(str::to_owned).to_vec(),
            resources: ["pods", "pods/log"].map(str::to_owned).to_vec(),
            resource_names: ["a", "b"].map(str::to_owned).to_vec(),
            ..Rule::default()
        }
    );
    for wrong in [
        "",
        "get",
        "get core",
        "get core pods names",
        "get core pods =a more",
    ] {
        assert_eq!(notation::rule(wrong), None, "{wrong}");
    }
}

#[test]
fn names_are_unique_and_bindings_have_roles() {
    let objects = objects(&config());
    let key = |object: &Value| {
        let metadata = &object["metadata"];
        (
            object["kind"].to_string(),
            metadata["namespace"].to_string(),
            metadata["name"].to_string(),
        )
    };
    let keys: BTreeSet<_> = objects.iter().map(key).collect();
    assert_eq!(keys.len(), objects.len());
    for binding in objects.iter().filter(|object| !object["roleRef"].is_null()) {
        let role = &binding["roleRef"];
        let namespace = if role["kind"] == "Role" {
            binding["metadata"]["namespace"].to_string()
        } else {
            "null".into()
        };
        assert!(
            keys.contains(&(role["kind"].to_string(), namespace, role["name"].to_string())),
            "{binding}"
        );
    }
}

#[test]
fn default_roles_decide_as_upstream() {
    let authorizer = authorizer();
    let allowed = |user: &UserInfo, verb: &str, group: &str, resource: &str, namespace: &str| {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let attributes = Attributes {
            subresource,
            namespace,
            ..Attributes::resource(user, verb, group, resource)
        };
        authorizer.authorize(&attributes).is_allowed()
    };
    let scheduler = user("system:kube-scheduler", &["system:authenticated"]);
    assert!(allowed(&scheduler, "create", "", "pods/binding", "default"));
    assert!(allowed(&scheduler, "watch", "", "nodes", ""));
    assert!(!allowed(&scheduler, "create", "", "pods", "default"));
    assert!(!allowed(&scheduler, "get", "", "secrets", "default"));
    let proxy = user("system:kube-proxy", &["system:authenticated"]);
    assert!(allowed(&proxy, "watch", "discovery.k8s.io", "endpointslices", ""));
    assert!(allowed(&proxy, "list", "networking.k8s.io", "servicecidrs", ""));
    assert!(!allowed(&proxy, "get", "", "secrets", "kube-system"));
    let deployments = user("system:serviceaccount:kube-system:deployment-controller", &[]);
    assert!(allowed(&deployments, "create", "apps", "replicasets", "x"));
    assert!(!allowed(&deployments, "create", "", "pods", "x"));
    let collector = user("system:serviceaccount:kube-system:generic-garbage-collector", &[]);
    assert!(allowed(&collector, "delete", "example.org", "things", "x"));
    assert!(allowed(
        &user("root", &["system:masters"]),
        "anything",
        "x",
        "y",
        ""
    ));
    let mounts = user(
        "system:serviceaccount:kube-system:selinux-warning-controller",
        &[],
    );
    assert!(allowed(&mounts, "watch", "storage.k8s.io", "csidrivers", ""));
    assert!(
        allowed(&mounts, "list", "", "persistentvolumes", "") && !allowed(&mounts, "update", "", "pods", "x")
    );
    let server = user("kube-apiserver-kubelet-client", &[]);
    for part in ["configz", "healthz", "pods", "log", "metrics", "proxy", "stats"] {
        assert!(
            allowed(&server, "get", "", &format!("nodes/{part}"), ""),
            "{part}"
        );
    }
    let anonymous = UserInfo::anonymous();
    assert!(!allowed(&anonymous, "list", "", "pods", "default"));
    let path = |user: &UserInfo, path: &str| {
        authorizer
            .authorize(&Attributes::path(user, "get", path))
            .is_allowed()
    };
    assert!(path(&anonymous, "/version") && path(&anonymous, "/healthz"));
    assert!(!path(&anonymous, "/api") && !path(&anonymous, "/metrics"));
    let anybody = user("x", &["system:authenticated"]);
    assert!(path(&anybody, "/api") && path(&anybody, "/apis/apps/v1") && path(&anybody, "/openapi/v3"));
    assert!(!path(&anybody, "/metrics") && !path(&anybody, "/apisx"));
    let account = user("x", &["system:serviceaccounts"]);
    for document in ["/.well-known/openid-configuration", "/openid/v1/jwks"] {
        assert!(path(&account, document) && path(&account, &format!("{document}/")));
    }
    assert!(allowed(
        &anybody,
        "create",
        "authorization.k8s.io",
        "selfsubjectaccessreviews",
        ""
    ));
}

#[test]
fn admin_edit_and_view_nest() {
    let objects = objects(&config());
    let rules = |name: &str| -> BTreeSet<String> {
        let role = objects
            .iter()
            .find(|object| object["metadata"]["name"] == name)
            .unwrap();
        role["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert!(rules("view").is_subset(&rules("edit")) && rules("edit").is_subset(&rules("admin")));
    assert!(!rules("view").iter().any(|rule| rule.contains("secrets")));
}

#[test]
fn services_have_the_agreed_addresses() {
    let objects = objects(&config());
    let service = |name: &str| {
        objects
            .iter()
            .find(|object| object["kind"] == "Service" && object["metadata"]["name"] == name)
            .unwrap()
    };
    assert_eq!(service("kubernetes")["spec"]["clusterIP"], "10.43.0.1");
    assert_eq!(service("kubernetes")["spec"]["ports"][0]["targetPort"], 6443);
    assert_eq!(service("kube-dns")["spec"]["clusterIPs"][0], "10.43.0.10");
    let cidr = objects
        .iter()
        .find(|object| object["kind"] == "ServiceCIDR")
        .unwrap();
    assert_eq!(
        (&cidr["metadata"]["name"], &cidr["spec"]["cidrs"]),
        (&json!("kubernetes"), &json!(["10.43.0.0/16"]))
    );
}

/// The bound is far above what it takes (4 microseconds without optimization), for slow machines; what it excludes
/// is a decision that compiles roles again or walks all bindings.
#[test]
fn decisions_take_microseconds() {
    let authorizer = authorizer();
    let user = user("system:kube-scheduler", &["system:authenticated"]);
    let asked = Attributes {
        namespace: "default",
        ..Attributes::resource(&user, "watch", "", "pods")
    };
    let began = std::time::Instant::now();
    for _ in 0..1000 {
        assert!(authorizer.authorize(&asked).is_allowed());
    }
    assert!(
        began.elapsed() < std::time::Duration::from_millis(200),
        "{:?}",
        began.elapsed() / 1000
    );
}
