//! What curl and kubectl see first: options, headers, refusals, what lists look like.

use std::process::Command;

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, config_map};

#[test]
fn options_that_are_none_are_invalid() {
    let cluster = Cluster::start();
    cluster.post(MAPS, &config_map("a", "1"));
    let a = format!("{MAPS}/a");
    let refused = |(code, status): (u16, Value)| {
        assert_eq!(
            (code, status["reason"].as_str()),
            (422, Some("Invalid")),
            "{status}"
        );
        assert_eq!(status["details"]["group"], "meta.k8s.io");
        status["message"].as_str().unwrap().to_owned()
    };
    let dry = "is invalid: dryRun: Unsupported value: []string{\"Some\"}: supported values: \"All\"";
    assert_eq!(
        refused(cluster.post(&format!("{MAPS}?dryRun=Some"), &config_map("b", "1"))),
        format!("CreateOptions.meta.k8s.io \"\" {dry}")
    );
    assert_eq!(
        refused(cluster.put(&format!("{a}?dryRun=Some"), &config_map("a", "1"))),
        format!("UpdateOptions.meta.k8s.io \"\" {dry}")
    );
    assert_eq!(
        refused(cluster.patch(&format!("{a}?dryRun=Some"), "merge-patch+json", &json!({}))),
        format!("PatchOptions.meta.k8s.io \"\" {dry}")
    );
    assert_eq!(
        refused(cluster.delete(&a, &json!({"dryRun": ["Some"]}))),
        format!("DeleteOptions.meta.k8s.io \"\" {dry}")
    );
    assert_eq!(
        refused(cluster.get(&format!("{MAPS}?resourceVersionMatch=Exact"))),
        "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless \
         resourceVersion is provided"
    );
    let watch = format!("{MAPS}?watch=1&sendInitialEvents=true");
    assert!(
        refused(cluster.get(&watch))
            .contains("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    );
    let collection = format!("{MAPS}?resourceVersionMatch=x&resourceVersion=1");
    assert!(refused(cluster.delete(&collection, &Value::Null)).contains("Unsupported value: \"x\""));
    for (path, body) in [
        (
            "bindings",
            json!({"metadata": {"name": "p"}, "target": {"name": "n"}}),
        ),
        ("serviceaccounts/default/token", json!({"spec": {}})),
    ] {
        let path = format!("/api/v1/namespaces/default/{path}?dryRun=Some");
        assert!(
            refused(cluster.post(&path, &body)).starts_with("CreateOptions"),
            "{path}"
        );
    }
    assert_eq!(
        cluster.get(&a).1["data"]["k"],
        "1",
        "nothing of this has happened"
    );
}

/// Runs curl against the server: its exit code, the status code, the headers, the body.
fn curl(cluster: &Cluster, path: &str, arguments: &[&str]) -> (i32, String, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let (head, body) = (dir.path().join("head"), dir.path().join("body"));
    let output = Command::new("curl")
        .args([
            "--silent",
            "--insecure",
            "--write-out",
            "%{http_code}",
            "--max-time",
            "20",
        ])
        .arg("--dump-header")
        .arg(&head)
        .arg("--output")
        .arg(&body)
        .args(arguments)
        .arg(format!("https://{}{path}", cluster.config.listen))
        .output()
        .unwrap();
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(output.stdout).unwrap(),
        read(&head),
        read(&body),
    )
}

#[test]
fn who_is_refused_while_sending_gets_the_answer() {
    let cluster = Cluster::start();
    let dir = tempfile::tempdir().unwrap();
    let large = dir.path().join("large");
    std::fs::write(&large, vec![b'x'; 2 << 20]).unwrap();
    let body = format!("@{}", large.display());
    for version in ["--http1.1", "--http2"] {
        for (credentials, code, reason) in [
            ("Authorization: Bearer nobody", "401", "Unauthorized"),
            ("X-Nobody: here", "403", "Forbidden"),
        ] {
            // Without "Expect: 100-continue" curl sends at once.
            let arguments = [
                version,
                "-X",
                "POST",
                "-H",
                "Expect:",
                "-H",
                credentials,
                "-H",
                "Content-Type: application/json",
                "--data-binary",
                &body,
            ];
            for _ in 0..5 {
                let (exit, found, _, answer) = curl(&cluster, MAPS, &arguments);
                assert_eq!((exit, found.as_str()), (0, code), "{version} {credentials}");
                let status: Value = serde_json::from_str(&answer).unwrap();
                assert_eq!(status["reason"], reason);
            }
        }
    }
}

#[test]
fn lists_are_as_long_as_they_say_and_items_do_not_say_what_they_are() {
    let cluster = Cluster::start();
    for n in 0..40 {
        let map = config_map(&format!("m{n:02}"), &"x".repeat(5000));
        assert_eq!(cluster.post(MAPS, &map).0, 201);
    }
    let pki = cluster.config.pki_dir.clone();
    let (certificate, key) = (pki.join("admin.crt"), pki.join("admin.key"));
    let credentials = [
        "--cert",
        certificate.to_str().unwrap(),
        "--key",
        key.to_str().unwrap(),
        "--http1.1",
    ];
    let (exit, code, head, body) = curl(
        &cluster,
        &format!("{MAPS}?labelSelector=app&pretty=false"),
        &credentials,
    );
    assert_eq!((exit, code.as_str()), (0, "200"), "{head}");
    let length = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length: ")
            .map(str::to_owned)
    });
    assert_eq!(length.unwrap().trim(), body.len().to_string());
    let list: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (list["kind"].as_str(), list["apiVersion"].as_str()),
        (Some("ConfigMapList"), Some("v1"))
    );
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 40);
    for (n, item) in items.iter().enumerate() {
        assert_eq!(item["metadata"]["name"], format!("m{n:02}"));
        assert!(item.get("kind").is_none() && item.get("apiVersion").is_none());
    }
    let yaml = cluster.raw(Method::GET, MAPS, &[("accept", "application/yaml")], b"");
    assert!(!String::from_utf8(yaml.1).unwrap().contains("kind: ConfigMap\n"));
    // kubectl puts them back.
    let shown = cluster
        .kubectl(&["get", "configmap", "-o", "jsonpath={.items[0].kind}"])
        .ok();
    assert_eq!(shown, "ConfigMap");
}

#[test]
fn components_and_what_is_deprecated() {
    let cluster = Cluster::start();
    let shown = cluster.kubectl(&["get", "cs"]);
    assert!(
        shown
            .err
            .contains("Warning: v1 ComponentStatus is deprecated in v1.19+"),
        "{shown:?}"
    );
    let rows: Vec<Vec<&str>> = shown
        .out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0], ["NAME", "STATUS", "MESSAGE", "ERROR"]);
    for name in ["controller-manager", "scheduler", "etcd-0"] {
        assert!(
            rows.iter().any(|row| row[..] == [name, "Healthy", "ok"]),
            "{name}: {shown:?}"
        );
    }
    let (code, one) = cluster.get("/api/v1/componentstatuses/scheduler");
    assert_eq!((code, one["kind"].as_str()), (200, Some("ComponentStatus")));
    assert_eq!(one["conditions"][0]["type"], "Healthy");
    assert_eq!(cluster.get("/api/v1/componentstatuses/x").0, 404);
    assert_eq!(cluster.post("/api/v1/componentstatuses", &json!({})).0, 405);
    let (code, status) = cluster.get("/api/v1/componentstatuses?watch=1&timeoutSeconds=1");
    let why = "watch is not supported on resources of kind \"componentstatuses\"";
    assert_eq!((code, status["message"].as_str()), (405, Some(why)));
    assert_eq!(status["details"], json!({"kind": "componentstatuses"}));
    let endpoints = cluster.kubectl(&["get", "endpoints"]);
    let warning = "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";
    assert!(endpoints.err.contains(warning), "{endpoints:?}");
}

#[test]
fn lists_of_resources_are_in_upstreams_order() {
    let cluster = Cluster::start();
    let (_, list) = cluster.raw(Method::GET, "/api/v1", &[], b"");
    let list = String::from_utf8(list).unwrap();
    let maps = "{\"name\":\"configmaps\",\"singularName\":\"configmap\",\"namespaced\":true,\"kind\":\"ConfigMap\",\
                \"verbs\":[\"create\",\"delete\",\"deletecollection\",\"get\",\"list\",\"patch\",\"update\",\"watch\"],\
                \"shortNames\":[\"cm\"],\"storageVersionHash\":\"";
    assert!(list.contains(maps), "{list}");
    let scale = "{\"name\":\"replicationcontrollers/scale\",\"singularName\":\"\",\"namespaced\":true,\
                 \"group\":\"autoscaling\",\"version\":\"v1\",\"kind\":\"Scale\",\"verbs\":";
    assert!(list.contains(scale), "{list}");
    let yaml = [("accept", "application/yaml")];
    let (_, list) = cluster.raw(Method::GET, "/apis/apps/v1", &yaml, b"");
    assert!(String::from_utf8(list).unwrap().contains("groupVersion: apps/v1"));
}

#[test]
fn the_document_describes_what_scripts_look_for() {
    let cluster = Cluster::start();
    let (_, document) = cluster.raw(Method::GET, "/openapi/v2", &[], b"");
    let document: Value = serde_json::from_slice(&document).unwrap();
    // What upstream's own script of kubectl's tests looks for (`test/cmd/discovery.sh`), where upstream says it.
    let path = &document["paths"]["/api/v1/namespaces/{namespace}/services"];
    let parameter = |name: &str| {
        let all = [path, &path["get"]].map(|place| place["parameters"].as_array());
        let mut all = all.into_iter().flatten().flatten();
        let found = all.find(|parameter| parameter["name"] == name).unwrap();
        found["description"].as_str().unwrap().to_owned()
    };
    for selector in ["fieldSelector", "labelSelector"] {
        let text = parameter(selector);
        assert!(text.contains("list of returned objects"), "{selector}: {text}");
    }
    let text = parameter("watch");
    assert!(
        text.starts_with("Watch for changes to the described resources"),
        "{text}"
    );
    let items = &document["definitions"]["io.k8s.api.core.v1.ServiceList"]["properties"]["items"];
    assert_eq!(items["description"], "List of services");
}

#[test]
fn no_request_empties_all_namespaces() {
    let cluster = Cluster::start();
    cluster.post(MAPS, &config_map("a", "1"));
    let expected = "the server does not allow this method on the requested resource";
    for (method, path) in [
        (Method::DELETE, "/api/v1/configmaps"),
        (Method::POST, "/api/v1/configmaps"),
        (Method::PUT, MAPS),
        (Method::DELETE, "/api/v1/namespaces"),
        (Method::GET, "/api/v1/namespaces/default/pods/x/binding"),
    ] {
        let (code, refused) = cluster.request(method.clone(), path, &[], b"{}");
        assert_eq!(
            (code, refused["message"].as_str()),
            (405, Some(expected)),
            "{method} {path}"
        );
        assert_eq!(refused["details"], json!({}));
    }
    assert_eq!(cluster.get(&format!("{MAPS}/a")).0, 200);
}

#[test]
fn answers_are_for_nobodys_cache() {
    let cluster = Cluster::start();
    let found = crate::cluster::runtime().block_on(async {
        let request = http::Request::get("/api/v1/nodes")
            .body(kube::client::Body::from(Vec::new()))
            .unwrap();
        cluster.client().await.send(request).await.unwrap()
    });
    assert_eq!(found.headers()["cache-control"], "no-cache, private");
}

#[test]
fn bodies_that_are_nothing_are_shown() {
    let cluster = Cluster::start();
    let refused = |body: &[u8]| {
        let headers = [("content-type", "application/json")];
        let (code, status) = cluster.request(Method::POST, MAPS, &headers, body);
        assert_eq!(code, 400);
        status["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        refused(b""),
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: \
         unexpected end of JSON input (<empty>)"
    );
    assert!(
        refused(b"{\"kind\": \"ConfigMap\", \"apiVersion\":")
            .ends_with(" ({\"kind\": \"ConfigMap\", \"apiVers ...)")
    );
    assert!(refused(b"[").ends_with(" (5b)"));
}

#[test]
fn limit_ranges_need_no_name() {
    let cluster = Cluster::start();
    let range = json!({"spec": {"limits": [{"type": "Pod", "max": {"cpu": "9"}}]}});
    let ranges = "/api/v1/namespaces/default/limitranges";
    let (code, created) = cluster.post(ranges, &range);
    assert_eq!(code, 201, "{created}");
    let name = created["metadata"]["name"].as_str().unwrap();
    assert_eq!(name.len(), 36, "a UUID");
    assert_eq!(cluster.get(&format!("{ranges}/{name}")).1, created);
}

#[test]
fn kinds_and_versions_are_texts() {
    let cluster = Cluster::start();
    for (field, value, found) in [
        ("kind", json!(5), "number"),
        ("apiVersion", json!(["v1"]), "array"),
    ] {
        let mut map = config_map("a", "1");
        map[field] = value;
        let (code, status) = cluster.post(MAPS, &map);
        let why = format!(
            "json parse error: json: cannot unmarshal {found} into Go struct field .{field} of type string ("
        );
        assert_eq!(code, 400);
        assert!(status["message"].as_str().unwrap().contains(&why), "{status}");
    }
}

#[test]
fn updates_say_whom_they_mean() {
    let cluster = Cluster::start();
    cluster.post(MAPS, &config_map("a", "1"));
    let (code, refused) = cluster.put(&format!("{MAPS}/a"), &json!({"data": {}}));
    assert_eq!(
        (code, refused["message"].as_str()),
        (
            400,
            Some("the name of the object (a based on URL) was undeterminable: name must be provided")
        )
    );
}

#[test]
fn owners_that_are_named_twice_are_named_once() {
    let cluster = Cluster::start();
    let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "u", "controller": true});
    let twice = json!({"metadata": {"name": "b", "ownerReferences": [owner, owner]}});
    let (code, made) = cluster.post(&format!("{MAPS}?dryRun=All"), &twice);
    assert_eq!(
        (code, &made["metadata"]["ownerReferences"]),
        (201, &json!([owner])),
        "{made}"
    );
}

#[test]
fn a_status_of_success_has_no_code() {
    let cluster = Cluster::start();
    cluster.post(MAPS, &config_map("a", "1"));
    let (code, gone) = cluster.delete(&format!("{MAPS}/a"), &Value::Null);
    assert_eq!(
        (code, gone["status"].as_str(), gone.get("code")),
        (200, Some("Success"), None)
    );
}

#[test]
fn answers_are_indented_for_people() {
    let cluster = Cluster::start();
    let (path, curl) = ("/api/v1/namespaces/default", ("user-agent", "curl/7.88.1"));
    let text = |path: &str, headers: &[(&str, &str)]| {
        let (_, body) = cluster.raw(Method::GET, path, headers, b"");
        String::from_utf8(body).unwrap()
    };
    let plain = text(path, &[]);
    assert!(!plain.trim_end().contains('\n'));
    for (path, headers) in [
        (format!("{path}?pretty=true"), &[][..]),
        (path.to_owned(), &[curl]),
    ] {
        let pretty = text(&path, headers);
        assert!(pretty.contains("\n  \"metadata\": {\n    \""), "{pretty}");
        let [one, other]: [Value; 2] = [&plain, &pretty].map(|text| serde_json::from_str(text).unwrap());
        assert_eq!(one, other);
    }
    assert_eq!(text(&format!("{path}?pretty=false"), &[curl]), plain);
    assert!(text("/api/v1/nodes/none", &[curl]).contains("\n  \"code\": 404"));
    let watch = text("/api/v1/namespaces?watch=true&timeoutSeconds=1", &[curl]);
    let is_event = |line: &str| line.starts_with("{\"type\":\"ADDED\"");
    assert!(!watch.is_empty() && watch.lines().all(is_event), "{watch}");
}
