//! DELETE: finalizers, preconditions, propagation, collections, namespaces.

use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, config_map};

#[test]
fn finalizers_hold_an_object_until_they_are_gone() {
    let cluster = Cluster::start();
    let mut held = config_map("a", "1");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    assert_eq!(cluster.post(MAPS, &held).0, 201);
    let a = format!("{MAPS}/a");
    let (code, marked) = cluster.delete(&a, &Value::Null);
    assert_eq!(code, 200);
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    let more = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}});
    let (code, status) = cluster.patch(&a, "merge-patch+json", &more);
    assert_eq!(code, 422, "{status}");
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .contains("no new finalizers can be added if the object is being deleted")
    );
    assert_eq!(
        cluster
            .patch(&a, "merge-patch+json", &json!({"metadata": {"finalizers": null}}))
            .0,
        200
    );
    assert_eq!(cluster.get(&a).0, 404);
}

#[test]
fn preconditions_are_kept() {
    let cluster = Cluster::start();
    let (_, created) = cluster.post(MAPS, &config_map("a", "1"));
    let a = format!("{MAPS}/a");
    let (code, status) = cluster.delete(&a, &json!({"preconditions": {"uid": "x"}}));
    assert_eq!((code, status["reason"].as_str().unwrap()), (409, "Conflict"));
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background",
        "preconditions": {"uid": created["metadata"]["uid"], "resourceVersion": created["metadata"]["resourceVersion"]}});
    let (code, status) = cluster.delete(&a, &options);
    assert_eq!((code, status["status"].as_str().unwrap()), (200, "Success"));
    assert_eq!(status["details"]["uid"], created["metadata"]["uid"]);
    assert_eq!(cluster.delete(&a, &Value::Null).0, 404);
}

#[test]
fn orphans_stay_and_collections_go() {
    let cluster = Cluster::start();
    for name in ["a", "b", "c"] {
        assert_eq!(cluster.post(MAPS, &config_map(name, "1")).0, 201);
    }
    let (_, gone) = cluster.delete(&format!("{MAPS}?labelSelector=app%3Dtest"), &Value::Null);
    assert_eq!(gone["items"].as_array().unwrap().len(), 3);
    let (_, rest) = cluster.get(&format!("{MAPS}?labelSelector=app%3Dtest"));
    assert!(rest["items"].as_array().unwrap().is_empty());
    let (code, status) = cluster.delete(&format!("{MAPS}/x?propagationPolicy=Sideways"), &Value::Null);
    assert_eq!(code, 422, "{status}");
}

/// `limit` and `continue` make a deletion of one page after the other of what was there at the beginning.
#[test]
fn a_collection_goes_page_by_page() {
    let cluster = Cluster::start();
    let selected = format!("{MAPS}?labelSelector=app%3Dtest");
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(cluster.post(MAPS, &config_map(name, "1")).0, 201);
    }
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap();
        let name = |item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned();
        items.iter().map(name).collect()
    };
    let (_, rehearsed) = cluster.delete(&format!("{selected}&limit=2&dryRun=All"), &Value::Null);
    assert_eq!(names(&rehearsed), ["a", "b"]);
    let (code, first) = cluster.delete(&format!("{selected}&limit=2"), &Value::Null);
    assert_eq!((code, names(&first)), (200, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(
        (&first["kind"], &first["apiVersion"]),
        (&json!("ConfigMapList"), &json!("v1"))
    );
    assert_eq!(names(&cluster.get(&selected).1), ["c", "d", "e"]);

    // What has come since the first page is not of this list; what has gone does no harm.
    assert_eq!(cluster.post(MAPS, &config_map("c2", "1")).0, 201);
    assert_eq!(cluster.delete(&format!("{MAPS}/d"), &Value::Null).0, 200);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let next = format!("{selected}&limit=2&continue={token}");
    let (code, second) = cluster.delete(&next, &Value::Null);
    assert_eq!(
        (code, names(&second)),
        (200, vec!["c".to_owned(), "d".to_owned()])
    );
    assert_eq!(
        second["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    assert_eq!(names(&cluster.get(&selected).1), ["c2", "e"]);
    let token = second["metadata"]["continue"].as_str().unwrap();
    let (_, last) = cluster.delete(&format!("{selected}&continue={token}"), &Value::Null);
    assert_eq!(names(&last), ["e"]);
    assert!(last["metadata"].get("continue").is_none());
    assert_eq!(names(&cluster.get(&selected).1), ["c2"]);

    // Without a selector the answer says how many are left, as a list does.
    for name in ["p", "q"] {
        assert_eq!(cluster.post(MAPS, &config_map(name, "1")).0, 201);
    }
    let total = cluster.get(MAPS).1["items"].as_array().unwrap().len();
    let (_, page) = cluster.delete(&format!("{MAPS}?limit=1&dryRun=All"), &Value::Null);
    assert_eq!(page["metadata"]["remainingItemCount"], total - 1);

    let (code, refused) = cluster.delete(&format!("{selected}&continue=%24"), &Value::Null);
    assert_eq!(
        (code, &refused["reason"]),
        (400, &json!("BadRequest")),
        "{refused}"
    );
    let with_version = format!("{selected}&resourceVersion=1&continue={token}");
    assert_eq!(cluster.delete(&with_version, &Value::Null).0, 400);
}

#[test]
fn a_namespace_takes_its_content_along() {
    let cluster = Cluster::start();
    cluster.kubectl(&["create", "namespace", "x"]).ok();
    cluster
        .kubectl(&["-n", "x", "create", "configmap", "a", "--from-literal=k=v"])
        .ok();
    cluster
        .kubectl(&["delete", "namespace", "x", "--timeout=15s"])
        .ok();
    assert_eq!(cluster.get("/api/v1/namespaces/x").0, 404);
    assert_eq!(cluster.get("/api/v1/namespaces/x/configmaps/a").0, 404);
}
