//! Large answers, in forms that are made for them.

use http::Method;
use serde_json::{Value, json};

use super::unread::Unread;
use super::{others_are_served, resident};
use crate::cluster::{Cluster, MAPS, config_map};

const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";
const PARTIAL: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// A cluster with a list of 3 MB.
fn cluster() -> Cluster {
    let cluster = Cluster::start();
    let large = "x: \"y\"\n".repeat(10_000);
    for n in 0..30 {
        let mut map = config_map(&format!("large-{n:02}"), "0");
        map["data"]["large"] = format!("{large}{n}").into();
        assert_eq!(cluster.post(MAPS, &map).0, 201);
    }
    cluster
}

#[test]
fn lists_are_the_same_in_all_forms() {
    let cluster = cluster();
    let get = |path: &str, accept: &str| {
        let (code, body) = cluster.raw(Method::GET, path, &[("accept", accept)], b"");
        assert_eq!(code, 200, "{accept}");
        body
    };
    let json: Value = serde_json::from_slice(&get(MAPS, "application/json")).unwrap();
    assert!(json["items"].as_array().unwrap().len() > 30);
    let yaml: Value = serde_yaml_ng::from_slice(&get(MAPS, "application/yaml")).unwrap();
    assert_eq!(yaml, json);
    let partial: Value = serde_json::from_slice(&get(MAPS, PARTIAL)).unwrap();
    let yaml = PARTIAL.replace("json", "yaml");
    let in_yaml: Value = serde_yaml_ng::from_slice(&get(MAPS, &yaml)).unwrap();
    assert_eq!(in_yaml, partial);
    let table = format!("{MAPS}?includeObject=Object");
    let table: Value = serde_json::from_slice(&get(&table, TABLE)).unwrap();
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    for (n, item) in json["items"].as_array().unwrap().iter().enumerate() {
        assert_eq!(partial["items"][n]["metadata"], item["metadata"]);
        assert_eq!(table["rows"][n]["cells"][0], item["metadata"]["name"]);
        assert_eq!(table["rows"][n]["object"]["data"], item["data"]);
    }
    // One of them alone.
    let one = format!("{MAPS}/large-07");
    let json: Value = serde_json::from_slice(&get(&one, "application/json")).unwrap();
    let yaml: Value = serde_yaml_ng::from_slice(&get(&one, "application/yaml")).unwrap();
    assert_eq!((yaml, &json["kind"]), (json.clone(), &json!("ConfigMap")));
    assert!(get(&one, "application/vnd.kubernetes.protobuf").starts_with(b"k8s\0"));
}

/// What is not read is not made.
#[test]
fn lists_that_nobody_reads() {
    let cluster = cluster();
    for accept in ["application/yaml", TABLE, "application/vnd.kubernetes.protobuf"] {
        let before = resident();
        let path = format!("{MAPS}?includeObject=Object");
        let unread = Unread::open(&cluster, &path, accept, 0);
        others_are_served(&cluster);
        let grown = resident().saturating_sub(before);
        // As a whole, the answers take 600 MB and more.
        assert!(grown < 150 << 10, "{accept}: {grown} KiB");
        drop(unread);
    }
}
