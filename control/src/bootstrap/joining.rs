//! What kubeadm adds to upstream's default objects so that machines can join with a bootstrap token, under kubeadm's
//! names: `kubeadm token create` and `kubeadm join` find what they look for.

use serde_json::{Value, json};

use super::{binding, notation, object};

/// The group that `kubeadm token create` gives to tokens of nodes.
const NODE_TOKENS: &str = "group:system:bootstrappers:kubeadm:default-node-token";
/// By which everybody may read `cluster-info`: it holds nothing but the address and the authority of the cluster.
const CLUSTER_INFO_ROLE: &str = "kubeadm:bootstrap-signer-clusterinfo";

/// ClusterRoleBindings: name, role, subjects.
const BINDINGS: &[(&str, &str, &str)] = &[
    ("kubeadm:get-nodes", "kubeadm:get-nodes", NODE_TOKENS),
    (
        "kubeadm:kubelet-bootstrap",
        "system:node-bootstrapper",
        NODE_TOKENS,
    ),
    (
        "kubeadm:node-autoapprove-bootstrap",
        "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
        NODE_TOKENS,
    ),
    (
        "kubeadm:node-autoapprove-certificate-rotation",
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        "group:system:nodes",
    ),
];

/// The bindings, and `cluster-info`, which the bootstrap signer fills.
pub fn objects() -> Vec<Value> {
    let mut objects = vec![json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "cluster-info", "namespace": "kube-public"},
    })];
    let mut get_nodes = object("ClusterRole", "", "kubeadm:get-nodes");
    get_nodes["rules"] = json!(notation::rules("get core nodes"));
    objects.push(get_nodes);
    for (name, role, subjects) in BINDINGS {
        objects.push(binding(
            "ClusterRoleBinding",
            "",
            name,
            "ClusterRole",
            role,
            subjects,
        ));
    }
    let mut role = object("Role", "kube-public", CLUSTER_INFO_ROLE);
    role["rules"] = json!(notation::rules("get core configmaps =cluster-info"));
    objects.push(role);
    objects.push(binding(
        "RoleBinding",
        "kube-public",
        CLUSTER_INFO_ROLE,
        "Role",
        CLUSTER_INFO_ROLE,
        "user:system:anonymous",
    ));
    objects
}
