//! What curl and kubectl see first: headers, what lists and other answers look like.

use std::process::Command;

use http::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, config_map};

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
    // Go's encoder ends a line with every document, and clients' own tests compare it.
    let table = ("accept", "application/json;as=Table;g=meta.k8s.io;v=v1");
    let partial = (
        "accept",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    );
    let partials = (
        "accept",
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    );
    let all = "/api/v1/namespaces";
    for (path, headers) in [
        (path, &[][..]),
        ("/api/v1/nodes/none", &[]),
        ("/apis", &[]),
        (all, &[]),
        (all, &[table]),
        (path, &[table]),
        (all, &[partials]),
        (path, &[partial]),
    ] {
        let document = text(path, headers);
        assert!(
            document
                .strip_suffix('\n')
                .is_some_and(|line| !line.contains('\n')),
            "{document:?}"
        );
    }
    for (path, headers) in [
        (format!("{path}?pretty=true"), &[][..]),
        (path.to_owned(), &[curl]),
    ] {
        let pretty = text(&path, headers);
        assert!(pretty.ends_with('}'));
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
