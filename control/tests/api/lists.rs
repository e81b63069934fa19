//! LIST: pages of one snapshot, selectors, resource versions, Tables, encodings.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::Value;

use crate::cluster::{Cluster, MAPS, config_map};

#[test]
fn pages_show_one_moment() {
    let cluster = Cluster::start();
    for number in 0..7 {
        assert_eq!(cluster.post(MAPS, &config_map(&format!("m{number}"), "1")).0, 201);
    }
    let everything = format!("{MAPS}?labelSelector=app%3Dtest");
    let (_, all) = cluster.get(&everything);
    assert_eq!(all["items"].as_array().unwrap().len(), 7);
    let (_, first) = cluster.get(&format!("{MAPS}?limit=3"));
    assert_eq!(first["items"].as_array().unwrap().len(), 3);
    let token = first["metadata"]["continue"].as_str().unwrap();
    assert!(first["metadata"]["remainingItemCount"].as_u64().unwrap() >= 4);
    // What changes meanwhile is not seen by the later pages.
    assert_eq!(cluster.delete(&format!("{MAPS}/m5"), &Value::Null).0, 200);
    assert_eq!(cluster.post(MAPS, &config_map("m55", "1")).0, 201);
    let mut names: Vec<String> = names(&first);
    let mut token = token.to_owned();
    loop {
        let (code, page) = cluster.get(&format!("{MAPS}?limit=3&continue={token}"));
        assert_eq!(code, 200, "{page}");
        assert_eq!(
            page["metadata"]["resourceVersion"],
            first["metadata"]["resourceVersion"]
        );
        names.extend(self::names(&page));
        match page["metadata"]["continue"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => break,
        }
    }
    assert!(
        names.contains(&"m5".to_owned()) && !names.contains(&"m55".to_owned()),
        "{names:?}"
    );
    assert!(names.is_sorted());
}

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

/// A token outlives its snapshot: the answer has another one, which goes on in whatever is there now.
#[test]
fn an_old_token_goes_on_in_the_present() {
    let cluster = Cluster::start();
    for name in ["a", "c", "d"] {
        assert_eq!(cluster.post(MAPS, &config_map(name, "1")).0, 201);
    }
    let selected = format!("{MAPS}?labelSelector=app%3Dtest");
    let (_, first) = cluster.get(&format!("{selected}&limit=1"));
    assert_eq!(names(&first), ["a"]);
    let mut token: Value = URL_SAFE_NO_PAD
        .decode(first["metadata"]["continue"].as_str().unwrap())
        .map(|bytes| serde_json::from_slice(&bytes).unwrap())
        .unwrap();
    token["at"] = 1.into();
    let old = URL_SAFE_NO_PAD.encode(token.to_string());
    assert_eq!(cluster.post(MAPS, &config_map("b", "1")).0, 201);
    assert_eq!(cluster.delete(&format!("{MAPS}/c"), &Value::Null).0, 200);
    for request in ["list", "deletecollection"] {
        let path = format!("{selected}&limit=1&continue={old}");
        let (code, expired) = match request {
            "list" => cluster.get(&path),
            _ => cluster.delete(&path, &Value::Null),
        };
        assert_eq!((code, expired["reason"].as_str().unwrap()), (410, "Expired"));
        assert_eq!(
            expired["message"],
            "The provided continue parameter is too old to display a consistent list result. You can start a new list \
             without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
             results. Continuing with the provided token results in an inconsistent list - objects that were created, \
             modified, or deleted between the time the first chunk was returned and now may show up in the list."
        );
        let next = expired["metadata"]["continue"].as_str().unwrap();
        let (code, rest) = cluster.get(&format!("{selected}&continue={next}"));
        assert_eq!((code, names(&rest)), (200, vec!["b".to_owned(), "d".to_owned()]));
        assert_ne!(
            rest["metadata"]["resourceVersion"],
            first["metadata"]["resourceVersion"]
        );
    }
    let (code, refused) = cluster.get(&format!("{MAPS}?continue=x"));
    assert_eq!(code, 400);
    assert_eq!(
        refused["message"],
        "invalid continue token: continue key is not valid: illegal base64 data at input byte 0"
    );
}

#[test]
fn selectors_and_resource_versions() {
    let cluster = Cluster::start();
    assert_eq!(cluster.post(MAPS, &config_map("a", "1")).0, 201);
    let (_, before) = cluster.get(&format!("{MAPS}/a"));
    let old = before["metadata"]["resourceVersion"].as_str().unwrap();
    assert_eq!(cluster.post(MAPS, &config_map("b", "1")).0, 201);
    let get = |query: &str| cluster.get(&format!("{MAPS}?{query}"));
    assert_eq!(names(&get("fieldSelector=metadata.name%3Da").1), ["a"]);
    assert_eq!(names(&get("labelSelector=app+in+(test,x)").1), ["a", "b"]);
    assert_eq!(names(&get("labelSelector=!app").1), ["kube-root-ca.crt"]);
    let (code, status) = get("fieldSelector=spec.nope%3Da");
    assert_eq!(
        (code, status["message"].as_str().unwrap()),
        (
            400,
            "\"spec.nope\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        )
    );
    // Kinds with fields of their own name them all.
    let (code, status) = cluster.get("/api/v1/nodes?fieldSelector=metadata.namespace%3Da");
    assert_eq!(
        (code, status["message"].as_str().unwrap()),
        (400, "field label not supported: metadata.namespace")
    );
    let (code, status) = cluster.get("/apis/batch/v1/jobs?fieldSelector=x%3Dy");
    assert_eq!(
        (code, status["message"].as_str().unwrap()),
        (400, "field label \"x\" not supported for batchv1.Job")
    );
    assert_eq!(get("labelSelector=a%3D%3D%3Db").0, 400);
    assert_eq!(names(&get("fieldSelector=%3D&labelSelector=app").1), ["a", "b"]);
    let exact = format!("labelSelector=app&resourceVersion={old}&resourceVersionMatch=Exact");
    assert_eq!(names(&get(&exact).1), ["a"], "the state at an old revision");
    let (code, status) = get("resourceVersion=999999999");
    assert_eq!((code, status["reason"].as_str().unwrap()), (504, "Timeout"));
    assert_eq!(
        status["details"]["causes"][0]["reason"],
        "ResourceVersionTooLarge"
    );
    // An older state than the one that is asked for is none for a single object either, nor to begin a watch with.
    let initial = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1";
    for path in [
        format!("{MAPS}/a?resourceVersion=999999999"),
        format!("{MAPS}?{initial}&resourceVersion=999999999"),
    ] {
        let (code, status) = cluster.get(&path);
        assert_eq!(
            (code, &status["reason"]),
            (504, &"Timeout".into()),
            "{path}: {status}"
        );
        assert_eq!(
            status["details"]["causes"][0]["reason"],
            "ResourceVersionTooLarge"
        );
    }
    assert_eq!(cluster.get(&format!("{MAPS}/a?resourceVersion={old}")).0, 200);
    // What is proxied is asked for by whom it goes to.
    let proxied = "/api/v1/namespaces/default/pods/none/proxy/x?resourceVersion=999999999";
    assert_eq!(cluster.get(proxied).0, 404);
    assert_eq!(get("resourceVersion=x").0, 400);
    assert_eq!(get("resourceVersionMatch=Exact").0, 422);
    assert_eq!(get("continue=nonsense").0, 400);
    assert_eq!(get("limit=x").0, 400);
}

#[test]
fn the_answer_takes_the_form_that_is_asked_for() {
    let cluster = Cluster::start();
    assert_eq!(cluster.post(MAPS, &config_map("a", "1")).0, 201);
    let get = |path: &str, accept: &str| cluster.raw(Method::GET, path, &[("accept", accept)], b"");
    let one = format!("{MAPS}/a");
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    for path in [MAPS, &one] {
        let (code, body) = get(path, table);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((code, body["kind"].as_str().unwrap()), (200, "Table"));
        assert_eq!(body["columnDefinitions"][0]["name"], "Name");
        assert_eq!(body["rows"][0]["cells"][0], "a");
        assert_eq!(body["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    }
    let (_, body) = get(&format!("{MAPS}?includeObject=Object"), table);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["rows"][0]["object"]["data"]["k"], "1");
    let (_, body) = get(
        MAPS,
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    );
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["kind"], "PartialObjectMetadataList");
    assert!(body["items"][0]["data"].is_null() && body["items"][0]["metadata"]["name"] == "a");
    let (_, body) = get(&one, "application/yaml");
    assert!(String::from_utf8(body).unwrap().contains("kind: ConfigMap\n"));
    assert_eq!(get(&one, "application/vnd.something").0, 406);
    let zipped = [("accept-encoding", "gzip"), ("accept", "application/json")];
    let large = "0123456789".repeat(30_000);
    assert_eq!(cluster.post(MAPS, &config_map("large", &large)).0, 201);
    let (code, body) = cluster.raw(Method::GET, &format!("{MAPS}/large"), &zipped, b"");
    assert_eq!((code, &body[..2]), (200, &[0x1f, 0x8b][..]), "gzip");
    assert!(body.len() < 10_000);
    let mut plain = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&body[..]), &mut plain).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&plain).unwrap()["data"]["k"],
        large.as_str()
    );
}
