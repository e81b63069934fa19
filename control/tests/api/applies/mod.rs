//! Server-side apply and managedFields, over HTTPS and with the real kubectl.

mod kubectl;
mod managers;
mod merges;

use http::Method;
use serde_json::Value;

use crate::cluster::Cluster;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn apply(cluster: &Cluster, path: &str, query: &str, body: &str) -> (u16, Value) {
    let media = [("content-type", "application/apply-patch+yaml")];
    cluster.request(Method::PATCH, &format!("{path}?{query}"), &media, body.as_bytes())
}

/// The entry of a manager.
#[track_caller]
fn entry<'a>(object: &'a Value, manager: &str, subresource: &str) -> &'a Value {
    let entries = object["metadata"]["managedFields"].as_array();
    entries
        .into_iter()
        .flatten()
        .find(|entry| {
            entry["manager"] == manager && entry["subresource"].as_str().unwrap_or("") == subresource
        })
        .unwrap_or_else(|| panic!("no {manager} {subresource} in {:#}", object["metadata"]))
}

fn managers(object: &Value) -> usize {
    object["metadata"]["managedFields"].as_array().map_or(0, Vec::len)
}
