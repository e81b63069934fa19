//! Where a stream goes: addresses out of Nodes, Pods and Services, as data. Pure.

use std::net::IpAddr;

use keelson_api::status::Status;
use serde_json::Value;

/// Something to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Address or host name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// Whether the proxies may dial the address (`proxyutil.IsProxyableIP`): not the API server's own machine, nor what only
/// that machine can reach, such as a cloud's metadata on 169.254.169.254.
pub fn is_proxyable(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(local || address.is_loopback() || address.is_multicast() || address.is_unspecified())
}

/// The refusal of an address that the proxies may not dial.
pub fn not_allowed() -> Status {
    Status::bad_request("address not allowed")
}

/// The kubelet of a node: its internal address and the port that it reports.
pub fn kubelet(node: &Value) -> Result<Target, Status> {
    let addresses = node["status"]["addresses"].as_array();
    let address = |wanted: &str| addresses?.iter().find(|one| one["type"] == wanted)?["address"].as_str();
    let host = ["InternalIP", "Hostname", "ExternalIP"]
        .into_iter()
        .find_map(address);
    let port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port > 0)
        .unwrap_or(10250);
    host.map(|host| Target {
        host: host.to_owned(),
        port,
        tls: true,
    })
    .ok_or_else(|| {
        Status::internal(&format!(
            "no preferred addresses found; known addresses: {}",
            node["status"]["addresses"]
        ))
    })
}

/// The parts of `[scheme:]name[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'a> {
    /// `http` or `https`.
    pub tls: bool,
    /// Object name.
    pub name: &'a str,
    /// Port number or name, may be empty.
    pub port: &'a str,
}

/// Splits a proxy's name (`net.SplitSchemeNamePort`).
pub fn reference(text: &str) -> Option<Reference<'_>> {
    let parts: Vec<&str> = text.split(':').collect();
    let (scheme, name, port) = match parts.as_slice() {
        [name] => ("", *name, ""),
        [name, port] => ("", *name, *port),
        [scheme, name, port] => (*scheme, *name, *port),
        _ => return None,
    };
    let tls = match scheme {
        "" | "http" => false,
        "https" => true,
        _ => return None,
    };
    (!name.is_empty()).then_some(Reference { tls, name, port })
}

/// The addresses of a pod, its first one first.
fn addresses(pod: &Value) -> impl Iterator<Item = &str> {
    let all = pod["status"]["podIPs"].as_array().into_iter().flatten();
    all.filter_map(|one| one["ip"].as_str())
        .chain(pod["status"]["podIP"].as_str())
        .filter(|address| !address.is_empty())
}

/// A pod's address and port (`pod.ResourceLocation`): the port asked for, else the first that a container declares.
pub fn pod(pod: &Value, reference: &Reference<'_>) -> Result<Target, Status> {
    let name = reference.name;
    let Some(host) = addresses(pod).next() else {
        return Err(Status::bad_request(
            "address not allowed: the pod has no address yet",
        ));
    };
    let declared = || {
        pod["spec"]["containers"]
            .as_array()?
            .iter()
            .find_map(|container| container["ports"][0]["containerPort"].as_u64())
    };
    let port = match reference.port {
        "" => declared().unwrap_or(if reference.tls { 443 } else { 80 }),
        text => text
            .parse()
            .ok()
            .or_else(|| named_port(pod, text))
            .ok_or_else(|| Status::bad_request(format!("invalid pod request {name:?}: no port {text:?}")))?,
    };
    target(host, port, reference.tls)
}

fn named_port(pod: &Value, name: &str) -> Option<u64> {
    pod["spec"]["containers"]
        .as_array()?
        .iter()
        .filter_map(|container| container["ports"].as_array())
        .flatten()
        .find(|port| port["name"] == name)?["containerPort"]
        .as_u64()
}

/// An endpoint of a service (`service.ResourceLocation`): `pick` chooses among the ready ones where to begin. Anybody who
/// may write EndpointSlices can write any address there, so the first from there on counts that is one of the pod which
/// it names; `pod` finds pods of the service's namespace.
pub fn service(
    service: &Value,
    slices: &[Value],
    reference: &Reference<'_>,
    pick: impl FnOnce(usize) -> usize,
    pod: impl Fn(&str) -> Option<Value>,
) -> Result<Target, Status> {
    let name = reference.name;
    let no_port = || {
        Status::service_unavailable(format!(
            "no service port {:?} found for service {name:?}",
            reference.port
        ))
    };
    let ports = service["spec"]["ports"].as_array().map_or(&[][..], Vec::as_slice);
    let port = match (reference.port, ports) {
        ("", [only]) => Some(only),
        (text, ports) => ports.iter().find(|port| {
            port["name"].as_str().unwrap_or_default() == text
                || (!text.is_empty() && port["port"].as_u64() == text.parse().ok())
        }),
    };
    let port_name = port.ok_or_else(no_port)?["name"].as_str().unwrap_or_default();
    let mut ready: Vec<(&str, u64, &Value)> = Vec::new();
    for slice in slices {
        let number = slice["ports"].as_array().and_then(|ports| {
            ports
                .iter()
                .find(|port| port["name"].as_str().unwrap_or_default() == port_name)?["port"]
                .as_u64()
        });
        let Some(number) = number else { continue };
        for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
            if endpoint["conditions"]["ready"] == false {
                continue;
            }
            if let Some(address) = endpoint["addresses"][0].as_str() {
                ready.push((address, number, &endpoint["targetRef"]));
            }
        }
    }
    if !ready.is_empty() {
        let first = pick(ready.len()) % ready.len();
        ready.rotate_left(first);
    }
    let namespace = service["metadata"]["namespace"].as_str();
    let is_pods = |(address, _, owner): &(&str, u64, &Value)| {
        owner["namespace"].as_str() == namespace
            && owner["name"]
                .as_str()
                .and_then(&pod)
                .is_some_and(|pod| addresses(&pod).any(|own| own == *address))
    };
    let Some((host, port, _)) = ready.into_iter().find(is_pods) else {
        return Err(Status::service_unavailable(format!(
            "no endpoints available for service {name:?}"
        )));
    };
    target(host, port, reference.tls)
}

fn target(host: &str, port: u64, tls: bool) -> Result<Target, Status> {
    // A pod has addresses, never names.
    if host.parse::<IpAddr>().is_err() {
        return Err(not_allowed());
    }
    let port = u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Status::bad_request(format!("invalid port {port}")))?;
    Ok(Target {
        host: host.to_owned(),
        port,
        tls,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_the_kubelet() {
        let node = json!({"status": {
            "addresses": [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "10.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 12345}},
        }});
        let expected = Target {
            host: "10.0.0.1".into(),
            port: 12345,
            tls: true,
        };
        assert_eq!(kubelet(&node).unwrap(), expected);
        assert!(kubelet(&json!({})).is_err());
    }

    #[test]
    fn splits_references() {
        let of = |tls, name, port| Some(Reference { tls, name, port });
        assert_eq!(reference("a"), of(false, "a", ""));
        assert_eq!(reference("a:80"), of(false, "a", "80"));
        assert_eq!(reference("https:a:web"), of(true, "a", "web"));
        assert_eq!(reference("https:a:"), of(true, "a", ""));
        assert_eq!(reference("ftp:a:80"), None);
        assert_eq!(reference("a:b:c:d"), None);
        assert_eq!(reference(""), None);
    }

    #[test]
    fn finds_ready_endpoints() {
        let web = json!({"metadata": {"namespace": "a"}, "spec": {"ports": [{"name": "web", "port": 80}, {"name": "x", "port": 81}]}});
        let slices = [json!({
            "ports": [{"name": "web", "port": 8080}],
            "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": false}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": true},
                 "targetRef": {"kind": "Pod", "namespace": "a", "name": "p"}},
            ],
        })];
        let pod = |name: &str| (name == "p").then(|| json!({"status": {"podIPs": [{"ip": "10.0.0.2"}]}}));
        for port in ["web", "80"] {
            let reference = Reference {
                tls: false,
                name: "s",
                port,
            };
            let found = service(&web, &slices, &reference, |_| 7, pod).unwrap();
            assert_eq!((found.host.as_str(), found.port), ("10.0.0.2", 8080));
        }
        let reference = Reference {
            tls: false,
            name: "s",
            port: "x",
        };
        assert_eq!(
            service(&web, &slices, &reference, |_| 0, pod).unwrap_err().code,
            503
        );
    }

    #[test]
    fn only_pods_of_the_namespace_stand_behind_a_service() {
        let web = json!({"metadata": {"namespace": "a"}, "spec": {"ports": [{"port": 80}]}});
        let reference = reference("s").unwrap();
        let pod = |name: &str| {
            (name == "p")
                .then(|| json!({"status": {"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}, {"ip": "fd00::2"}]}}))
        };
        let found = |endpoints: Value| {
            let slices = [json!({"ports": [{"port": 8080}], "endpoints": endpoints})];
            let found = service(&web, &slices, &reference, |_| 1, pod);
            found.map(|target| target.host).map_err(|status| status.code)
        };
        let of = |address: &str, namespace: &str, name: &str| json!({"addresses": [address], "targetRef": {"kind": "Pod", "namespace": namespace, "name": name}});
        for (address, namespace, name) in [
            ("10.9.9.9", "a", "p"),
            ("10.0.0.2", "b", "p"),
            ("10.0.0.2", "a", "none"),
        ] {
            assert_eq!(found(json!([of(address, namespace, name)])), Err(503));
        }
        assert_eq!(found(json!([{"addresses": ["10.0.0.2"]}])), Err(503));
        assert_eq!(found(json!([of("fd00::2", "a", "p")])), Ok("fd00::2".to_owned()));
        // The others of the service still answer.
        let mixed = json!([
            of("10.9.9.9", "a", "p"),
            of("10.9.9.9", "b", "p"),
            of("10.0.0.2", "a", "p")
        ]);
        assert_eq!(found(mixed), Ok("10.0.0.2".to_owned()));
    }

    #[test]
    fn addresses_of_the_machine_itself_are_not_dialled() {
        for refused in [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "::",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            assert!(!is_proxyable(refused.parse().unwrap()), "{refused}");
        }
        for dialled in ["10.42.0.5", "192.168.1.1", "8.8.8.8", "fd00::1", "2001:db8::1"] {
            assert!(is_proxyable(dialled.parse().unwrap()), "{dialled}");
        }
        let named = json!({"status": {"podIP": "localhost"}});
        assert_eq!(pod(&named, &reference("p").unwrap()), Err(not_allowed()));
        let two = json!({"status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.2"}, {"ip": "fd00::2"}]}});
        assert_eq!(pod(&two, &reference("p").unwrap()).unwrap().host, "10.0.0.2");
    }
}
