//! What `kubectl get services` shows.

use serde_json::Value;

use crate::kinds::cells;
use crate::kinds::json::{int, items, text};

/// Cells of the row.
pub(super) fn row(service: &Value, now: i64) -> Vec<Value> {
    vec![
        cells::name(service),
        Value::from(text(service, "/spec/type")),
        cells::text_or(service, "/spec/clusterIP", "<none>"),
        Value::from(external_ip(service)),
        Value::from(ports(service)),
        cells::age(service, now),
        cells::labels(service, "/spec/selector"),
    ]
}

fn external_ip(service: &Value) -> String {
    let external = items(service, "/spec/externalIPs")
        .iter()
        .filter_map(Value::as_str);
    match text(service, "/spec/type") {
        "ClusterIP" | "NodePort" => cells::joined(external),
        "LoadBalancer" => {
            let balancer = items(service, "/status/loadBalancer/ingress")
                .iter()
                .map(|ingress| match text(ingress, "/ip") {
                    "" => text(ingress, "/hostname"),
                    ip => ip,
                })
                .filter(|address| !address.is_empty());
            let all: Vec<&str> = balancer.chain(external).collect();
            if all.is_empty() {
                "<pending>".to_owned()
            } else {
                all.join(",")
            }
        }
        "ExternalName" => text(service, "/spec/externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

/// `80/TCP,443:30443/TCP`.
fn ports(service: &Value) -> String {
    let ports: Vec<String> = items(service, "/spec/ports")
        .iter()
        .map(|port| {
            let (number, protocol) = (int(port, "/port").unwrap_or(0), text(port, "/protocol"));
            match int(port, "/nodePort") {
                Some(node_port) if node_port > 0 => format!("{number}:{node_port}/{protocol}"),
                _ => format!("{number}/{protocol}"),
            }
        })
        .collect();
    cells::joined(ports.iter().map(String::as_str))
}
