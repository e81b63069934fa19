//! Namespaces, priority classes, the two Services of the system and the ServiceCIDR that they are of.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde_json::{Value, json};

use crate::Config;
use crate::admission::DEFAULT_SERVICE_CIDR;
use crate::auth::front_proxy;
use crate::auth::tokens::day;

/// The namespaces that are made at the start and, but for the last, cannot be deleted.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Everything that is not RBAC.
pub fn objects(config: &Config) -> Vec<Value> {
    let mut objects: Vec<Value> = NAMESPACES.map(namespace).into();
    objects.push(priority_class(
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ));
    objects.push(priority_class(
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ));
    if let Some(address) = config.service_cidrs.first().and_then(|cidr| first_address(cidr)) {
        objects.extend(kubernetes(address, config.advertise));
    }
    objects.push(dns(config.dns_ip));
    if !config.service_cidrs.is_empty() {
        objects.push(json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "ServiceCIDR",
            "metadata": {"name": DEFAULT_SERVICE_CIDR},
            "spec": {"cidrs": config.service_cidrs},
        }));
    }
    objects.push(authentication(&config.pki_dir));
    objects.push(tracking());
    objects
}

/// Name of the ConfigMap that says since when the use of tokens in secrets is written down.
pub const TRACKING: &str = "kube-apiserver-legacy-service-account-token-tracking";

/// That ConfigMap, from today on.
pub fn tracking() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": TRACKING, "namespace": "kube-system"},
        "data": {"since": day(keelson_api::time::now())},
    })
}

/// Whether such a ConfigMap says since when.
pub fn is_tracking(map: &Value) -> bool {
    let since = map["data"]["since"].as_str().unwrap_or_default();
    since.len() == "2006-01-02".len() && keelson_api::time::parse(&format!("{since}T00:00:00Z")).is_some()
}

/// What extension API servers, and upstream's own components, verify clients and front proxies with: the
/// `extension-apiserver-authentication` that upstream's API server publishes (`controller/clusterauthenticationtrust`).
fn authentication(pki_dir: &Path) -> Value {
    let mut data = json!({});
    if let Ok(authority) = std::fs::read_to_string(pki_dir.join("ca.crt")) {
        data["client-ca-file"] = authority.into();
    }
    if let Ok(authority) = std::fs::read_to_string(pki_dir.join(front_proxy::AUTHORITY)) {
        data["requestheader-client-ca-file"] = authority.into();
        let lists = [
            ("allowed-names", front_proxy::ALLOWED),
            ("username-headers", "X-Remote-User"),
            ("uid-headers", "X-Remote-Uid"),
            ("group-headers", "X-Remote-Group"),
            ("extra-headers-prefix", "X-Remote-Extra-"),
        ];
        for (name, value) in lists {
            data[format!("requestheader-{name}")] = json!([value]).to_string().into();
        }
    }
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": data,
    })
}

fn namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    })
}

fn priority_class(name: &str, value: i64, description: &str) -> Value {
    json!({
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        "preemptionPolicy": "PreemptLowerPriority",
        "description": description,
    })
}

/// The first usable address of a CIDR.
fn first_address(cidr: &str) -> Option<IpAddr> {
    let (address, bits) = cidr.split_once('/')?;
    let bits: u32 = bits.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32u32.checked_sub(bits)?).unwrap_or(0);
            Some(IpAddr::V4(((u32::from(v4) & mask) + 1).into()))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128u32.checked_sub(bits)?).unwrap_or(0);
            Some(IpAddr::V6(((u128::from(v6) & mask) + 1).into()))
        }
    }
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

fn service_spec(address: IpAddr, ports: &Value) -> Value {
    json!({
        "type": "ClusterIP",
        "clusterIP": address.to_string(),
        "clusterIPs": [address.to_string()],
        "ipFamilies": [family(address)],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
        "sessionAffinity": "None",
        "ports": ports,
    })
}

/// The `kubernetes` Service, through which pods reach the API server, with its endpoint.
fn kubernetes(address: IpAddr, advertise: SocketAddr) -> [Value; 3] {
    let target = advertise.ip().to_string();
    let port = json!({"name": "https", "port": advertise.port(), "protocol": "TCP"});
    [
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": service_spec(address, &json!([
                {"name": "https", "port": 443, "protocol": "TCP", "targetPort": advertise.port()},
            ])),
        }),
        json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
            },
            "subsets": [{"addresses": [{"ip": target}], "ports": [port]}],
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": "kubernetes"},
            },
            "addressType": family(advertise.ip()),
            "endpoints": [{"addresses": [target], "conditions": {"ready": true}}],
            "ports": [port],
        }),
    ]
}

/// The `kube-dns` Service. It has neither selector nor endpoints: every node's netd answers on its address.
fn dns(address: IpAddr) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kube-dns",
            "namespace": "kube-system",
            "labels": {
                "k8s-app": "kube-dns",
                "kubernetes.io/cluster-service": "true",
                "kubernetes.io/name": "KubeDNS",
            },
        },
        "spec": service_spec(address, &json!([
            {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        ])),
    })
}
