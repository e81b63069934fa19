//! Protobuf over the wire: the same objects as in JSON, in requests, answers, lists, watches and errors.

use http::{Method, Request};
use keelson_api::protobuf::{MEDIA_TYPE, WATCH_MEDIA_TYPE, decode, envelope, of_kind};
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, config_map, runtime};

/// A body from a value.
fn encode(value: &Value) -> Vec<u8> {
    let text = |field: &str| value[field].as_str().unwrap();
    let message = of_kind(text("apiVersion"), text("kind")).unwrap();
    envelope::object(
        text("apiVersion"),
        text("kind"),
        message,
        value.to_string().as_bytes(),
    )
    .unwrap()
}

/// A request whose body and answer are protobuf: code, content type, body.
fn send(
    cluster: &Cluster,
    method: Method,
    path: &str,
    accept: &str,
    body: Option<&Value>,
) -> (u16, String, Vec<u8>) {
    runtime().block_on(async {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("accept", accept)
            .header("content-type", MEDIA_TYPE)
            .body(kube::client::Body::from(body.map(encode).unwrap_or_default()))
            .unwrap();
        let response = cluster.client().await.send(request).await.unwrap();
        let media = response.headers()["content-type"].to_str().unwrap().to_owned();
        let code = response.status().as_u16();
        (
            code,
            media,
            response.into_body().collect_bytes().await.unwrap().to_vec(),
        )
    })
}

/// As [`send`], with the answer decoded.
fn ask(cluster: &Cluster, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
    let (code, media, bytes) = send(cluster, method, path, MEDIA_TYPE, body);
    assert_eq!(media, MEDIA_TYPE, "{}", String::from_utf8_lossy(&bytes));
    (code, decode(&bytes, ("", "")).unwrap())
}

/// Without what protobuf and JSON do not tell apart: nulls, zeros, and what is empty.
fn slim(value: &Value) -> Value {
    let keep = |value: &Value| match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    };
    match value {
        Value::Array(items) => items.iter().map(slim).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), slim(value)))
            .filter(|(_, value)| keep(value))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// A JSON answer; a list's items without version and kind, which protobuf says once.
fn json_of(cluster: &Cluster, path: &str, accept: &str) -> Value {
    let mut value = cluster.request(Method::GET, path, &[("accept", accept)], b"").1;
    for item in value["items"].as_array_mut().into_iter().flatten() {
        item.as_object_mut()
            .unwrap()
            .retain(|name, _| !matches!(name.as_str(), "apiVersion" | "kind"));
    }
    value
}

/// The JSON list of the state that a list was made from: controllers write all the time.
fn same_state(cluster: &Cluster, path: &str, list: &Value) -> Value {
    let Some(revision) = list["metadata"]["resourceVersion"].as_str() else {
        // What is made for the answer is of no state.
        return json_of(cluster, path, "application/json");
    };
    let path = format!("{path}?resourceVersionMatch=Exact&resourceVersion={revision}");
    json_of(cluster, &path, "application/json")
}

#[test]
fn every_kind_and_document_is_the_same_in_both() {
    let cluster = Cluster::start();
    let mut lists = 0;
    let mut objects = 0;
    let mut paths = vec!["/api".to_owned(), "/apis".to_owned(), "/api/v1".to_owned()];
    for group in cluster.get("/apis").1["groups"].as_array().unwrap() {
        paths.push(format!("/apis/{}", group["name"].as_str().unwrap()));
        for version in group["versions"].as_array().unwrap() {
            paths.push(format!("/apis/{}", version["groupVersion"].as_str().unwrap()));
        }
    }
    for path in &paths {
        let document = cluster.get(path).1;
        let (code, read) = ask(&cluster, Method::GET, path, None);
        assert_eq!(code, 200);
        let mut read = slim(&read);
        if document["apiVersion"].is_null() {
            read["apiVersion"].take();
        }
        assert_eq!(slim(&read), slim(&document), "{path}");
        for resource in document["resources"].as_array().into_iter().flatten() {
            let name = resource["name"].as_str().unwrap();
            let can_list = resource["verbs"]
                .as_array()
                .unwrap()
                .iter()
                .any(|verb| verb == "list");
            if !can_list || name.contains('/') {
                continue;
            }
            let path = format!("{path}/{name}");
            let (code, read) = ask(&cluster, Method::GET, &path, None);
            let document = same_state(&cluster, &path, &read);
            assert_eq!((code, slim(&read)), (200, slim(&document)), "{path}");
            objects += document["items"].as_array().unwrap().len();
            lists += 1;
        }
    }
    assert!(lists > 40 && objects > 60, "{lists} {objects}");
}

#[test]
fn objects_are_written_read_and_deleted() {
    let cluster = Cluster::start();
    let pods = "/api/v1/namespaces/default/pods";
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "p-", "labels": {"a": "b"}},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "i", "livenessProbe": {"httpGet": {"port": 80}},
            "resources": {"limits": {"cpu": "500m"}}}], "terminationGracePeriodSeconds": 0},
    });
    let (code, created) = ask(&cluster, Method::POST, pods, Some(&pod));
    assert_eq!(code, 201, "{created}");
    let name = created["metadata"]["name"].as_str().unwrap();
    let path = format!("{pods}/{name}");
    assert_eq!(slim(&created), slim(&cluster.get(&path).1));
    let mut changed = created.clone();
    changed["metadata"]["labels"]["c"] = "d".into();
    let (code, updated) = ask(&cluster, Method::PUT, &path, Some(&changed));
    assert_eq!(
        (code, updated["metadata"]["labels"]["c"].as_str()),
        (200, Some("d"))
    );
    let (code, status) = ask(&cluster, Method::PUT, &path, Some(&changed));
    assert_eq!(
        (code, status["reason"].as_str()),
        (409, Some("Conflict")),
        "{status}"
    );

    let options =
        |uid: &Value| json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}});
    let wrong = options(&"other".into());
    let (code, status) = ask(&cluster, Method::DELETE, &path, Some(&wrong));
    assert_eq!((code, status["status"].as_str()), (409, Some("Failure")));
    let (code, deleted) = ask(
        &cluster,
        Method::DELETE,
        &path,
        Some(&options(&created["metadata"]["uid"])),
    );
    assert_eq!((code, deleted["kind"].as_str()), (200, Some("Pod")), "{deleted}");
    let (code, status) = ask(&cluster, Method::GET, &path, None);
    assert_eq!(
        (code, status["kind"].as_str(), status["details"]["name"].as_str()),
        (404, Some("Status"), Some(name))
    );
    // A Status that tells of a success.
    assert_eq!(cluster.post(MAPS, &config_map("a", "1")).0, 201);
    let (code, status) = ask(&cluster, Method::DELETE, &format!("{MAPS}/a"), None);
    assert_eq!((code, status["status"].as_str()), (200, Some("Success")));
}

#[test]
fn subresources_and_reviews_answer_in_kind() {
    let cluster = Cluster::start();
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {},
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}},
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let (code, answer) = ask(&cluster, Method::POST, path, Some(&review));
    assert_eq!(
        (code, &answer["status"]["allowed"]),
        (201, &json!(true)),
        "{answer}"
    );

    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}},
    });
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let (code, created) = ask(&cluster, Method::POST, path, Some(&deployment));
    assert_eq!(
        (code, &created["spec"]["replicas"]),
        (201, &json!(0)),
        "{created}"
    );
    let path = format!("{path}/d/scale");
    let (_, mut scale) = ask(&cluster, Method::GET, &path, None);
    assert_eq!(
        (&scale["kind"], &scale["apiVersion"]),
        (&json!("Scale"), &json!("autoscaling/v1"))
    );
    scale["spec"]["replicas"] = 2.into();
    // The controller may have written meanwhile.
    scale["metadata"]["resourceVersion"].take();
    let (code, scale) = ask(&cluster, Method::PUT, &path, Some(&scale));
    assert_eq!((code, &scale["spec"]["replicas"]), (200, &json!(2)), "{scale}");

    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "s"}});
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    assert_eq!(ask(&cluster, Method::POST, accounts, Some(&account)).0, 201);
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {"expirationSeconds": 600},
    });
    let (code, token) = ask(
        &cluster,
        Method::POST,
        &format!("{accounts}/s/token"),
        Some(&request),
    );
    assert_eq!(code, 201, "{token}");
    assert!(
        token["status"]["token"].as_str().unwrap().starts_with("eyJ"),
        "{token}"
    );
}

#[test]
fn large_lists_and_bare_metadata() {
    let cluster = Cluster::start();
    for number in 0..14 {
        let map = config_map(&format!("m{number:02}"), &"x".repeat(100_000 + number));
        assert_eq!(cluster.post(MAPS, &map).0, 201);
    }
    // Twice, because the second time the items' lengths are known.
    for _ in 0..2 {
        let whole = ask(&cluster, Method::GET, MAPS, None).1;
        assert_eq!(slim(&whole), slim(&same_state(&cluster, MAPS, &whole)));
    }
    let page = ask(&cluster, Method::GET, &format!("{MAPS}?limit=2"), None).1;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert!(
        page["metadata"]["remainingItemCount"].as_i64() > Some(10),
        "{}",
        page["metadata"]
    );
    for (path, kind) in [
        (MAPS.to_owned(), "PartialObjectMetadataList"),
        (format!("{MAPS}/m03"), "PartialObjectMetadata"),
    ] {
        let form = format!("as={kind};g=meta.k8s.io;v=v1");
        let (code, media, bytes) = send(
            &cluster,
            Method::GET,
            &path,
            &format!("{MEDIA_TYPE};{form}"),
            None,
        );
        assert_eq!((code, media.as_str()), (200, MEDIA_TYPE));
        assert!(bytes.len() < 10_000, "{}", bytes.len());
        let read = decode(&bytes, ("", "")).unwrap();
        let revision = read["metadata"]["resourceVersion"].as_str().unwrap();
        let path = if kind.ends_with("List") {
            format!("{path}?resourceVersionMatch=Exact&resourceVersion={revision}")
        } else {
            path
        };
        let json = json_of(&cluster, &path, &format!("application/json;{form}"));
        assert_eq!(slim(&read), slim(&json));
    }
}

#[test]
fn watches_are_frames() {
    let cluster = Cluster::start();
    assert_eq!(cluster.post(MAPS, &config_map("a", "1")).0, 201);
    assert_eq!(cluster.post(MAPS, &config_map("b", "2")).0, 201);
    let events = |query: &str, accept: &str| {
        let path = format!("{MAPS}?watch=1&timeoutSeconds=1&labelSelector=app%3Dtest&{query}");
        let (code, media, bytes) = send(&cluster, Method::GET, &path, accept, None);
        assert_eq!((code, media.as_str()), (200, WATCH_MEDIA_TYPE));
        frames(&bytes)
    };
    let first = events("", MEDIA_TYPE);
    let names: Vec<_> = first
        .iter()
        .map(|(kind, object)| (kind.as_str(), object["metadata"]["name"].as_str().unwrap()))
        .collect();
    assert_eq!(names, [("ADDED", "a"), ("ADDED", "b")]);
    let before = first[1].1["metadata"]["resourceVersion"].as_str().unwrap();

    let mut left = config_map("a", "3");
    left["metadata"]["labels"]["app"] = "other".into();
    assert_eq!(cluster.put(&format!("{MAPS}/a"), &left).0, 200);
    let everything = events(&format!("resourceVersion={before}"), MEDIA_TYPE);
    assert_eq!(everything.len(), 1, "{everything:?}");
    // What leaves the selection is shown as it last was inside.
    assert_eq!(
        (everything[0].0.as_str(), &everything[0].1["data"]["k"]),
        ("DELETED", &json!("1"))
    );
    assert_eq!(cluster.delete(&format!("{MAPS}/b"), &Value::Null).0, 200);
    let form = format!("{MEDIA_TYPE};as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
    for accept in [MEDIA_TYPE, &form] {
        let all = events(&format!("resourceVersion={before}"), accept);
        let kinds: Vec<_> = all.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["DELETED", "DELETED"]);
        assert_eq!(all[1].1["data"].is_null(), accept == form);
    }
    let marks = events(
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
        MEDIA_TYPE,
    );
    let (kind, object) = marks.last().unwrap();
    assert_eq!(
        (kind.as_str(), &object["kind"]),
        ("BOOKMARK", &json!("ConfigMap"))
    );
    assert_eq!(
        object["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    let yaml = cluster.request(
        Method::GET,
        &format!("{MAPS}?watch=1"),
        &[("accept", "application/yaml")],
        b"",
    );
    assert_eq!(yaml.0, 406, "{}", yaml.1);
}

/// The events of a watch: four bytes of length, then `WatchEvent` with the type as field 1 and the object within field 2.
fn frames(mut bytes: &[u8]) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    while let Some((length, rest)) = bytes.split_at_checked(4) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let (frame, rest) = rest.split_at(length);
        assert_eq!(frame[0], 1 << 3 | 2);
        let kind = std::str::from_utf8(&frame[2..2 + usize::from(frame[1])]).unwrap();
        let object = frame.windows(4).position(|window| window == b"k8s\0").unwrap();
        out.push((kind.to_owned(), decode(&frame[object..], ("", "")).unwrap()));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    out
}

#[test]
fn what_cannot_be_is_refused() {
    let cluster = Cluster::start();
    let table = format!("{MEDIA_TYPE};as=Table;g=meta.k8s.io;v=v1");
    let (code, media, body) = send(&cluster, Method::GET, MAPS, &table, None);
    assert_eq!((code, media.as_str()), (406, "application/json"));
    let status: Value = serde_json::from_slice(&body).unwrap();
    let message = status["message"].as_str().unwrap();
    assert!(
        message.ends_with("application/json, application/yaml, application/vnd.kubernetes.protobuf"),
        "{message}"
    );
    // The second choice is taken.
    let (code, media, _) = send(
        &cluster,
        Method::GET,
        MAPS,
        &format!("{table},application/json"),
        None,
    );
    assert_eq!((code, media.as_str()), (200, "application/json"));
    let post =
        |media: &str, body: &[u8]| cluster.request(Method::POST, MAPS, &[("content-type", media)], body);
    assert_eq!(post(MEDIA_TYPE, b"{}").0, 400);
    assert_eq!(post(MEDIA_TYPE, b"k8s\0\x12\xff").0, 400);
    assert_eq!(post("application/cbor", b"{}").0, 415);
    let other = encode(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}));
    assert_eq!(post(MEDIA_TYPE, &other).0, 400);
}

/// Go's controllers compare the bytes of a revision's data with what `json.Marshal` gives them.
#[test]
fn revisions_have_the_escapes_of_go() {
    let cluster = Cluster::start();
    let path = "/apis/apps/v1/namespaces/default/controllerrevisions";
    let text = "a && b <c> \u{2028}\u{2029}\u{2027}\u{e2}";
    let revision = json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "r"},
        "revision": 1, "data": {"args": [text]}});
    let expected =
        "{\"args\":[\"a \\u0026\\u0026 b \\u003cc\\u003e \\u2028\\u2029\u{2027}\u{e2}\"]}".as_bytes();
    let has = |body: &[u8]| body.windows(expected.len()).any(|window| window == expected);
    let sent = serde_json::to_vec(&revision).unwrap();
    let json = [("content-type", "application/json")];
    let (code, created) = cluster.raw(Method::POST, path, &json, &sent);
    assert!(
        code == 201 && has(&created),
        "{}",
        String::from_utf8_lossy(&created)
    );
    for accept in ["application/json", MEDIA_TYPE] {
        for path in [format!("{path}/r"), path.to_owned()] {
            let (code, body) = cluster.raw(Method::GET, &path, &[("accept", accept)], b"");
            assert!(
                code == 200 && has(&body),
                "{accept} {}",
                String::from_utf8_lossy(&body)
            );
        }
    }
    assert_eq!(cluster.get(&format!("{path}/r")).1["data"], revision["data"]);
}

/// Since 1.32 kubectl sends protobuf and asks for it; before 1.28 it reads types from OpenAPI v2 as protobuf.
#[test]
fn kubectls_speak_it() {
    let cluster = Cluster::start();
    let create = ["create", "deployment", "d", "--image=i", "--replicas=0", "-v=8"];
    let created = cluster.kubectl_of("1.33", &create);
    assert!(created.err.contains(MEDIA_TYPE), "{}", created.err);
    assert_eq!(created.ok(), "deployment.apps/d created\n");
    let described = cluster.kubectl_of("1.33", &["describe", "deployment", "d", "-v=8"]);
    let sent = described
        .err
        .matches("application/vnd.kubernetes.protobuf")
        .count();
    assert!(sent > 3, "{}", described.err);
    assert!(described.ok().contains("0 desired | 0 updated | 0 total"));
    let explained = cluster.kubectl_of("1.27", &["explain", "deployment.spec.replicas", "-v=8"]);
    assert!(
        explained.err.contains("com.github.proto-openapi.spec.v2"),
        "{}",
        explained.err
    );
    assert!(explained.ok().contains("FIELD: replicas <integer>"));
}

#[test]
fn openapi_v2_has_a_tag_for_each_form() {
    let cluster = Cluster::start();
    let tag = |accept: &str, known: &str| {
        runtime().block_on(async {
            let request = Request::get("/openapi/v2")
                .header("accept", accept)
                .header("if-none-match", known)
                .body(kube::client::Body::empty())
                .unwrap();
            let response = cluster.client().await.send(request).await.unwrap();
            let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
            let (media, tag) = (header("content-type"), header("etag"));
            (response.status().as_u16(), media, tag)
        })
    };
    let proto = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let (code, media, json) = tag("application/json", "\"other\"");
    assert_eq!((code, media.as_str()), (200, "application/json"));
    let (code, media, gnostic) = tag(proto, &json);
    let answered = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    assert_eq!((code, media.as_str()), (200, answered));
    assert_ne!(json, gnostic);
    assert_eq!(tag("*/*", &json).0, 304);
    assert_eq!(tag(proto, &format!("\"x\", W/{gnostic}")).0, 304);
    let (code, status) = cluster.request(Method::GET, "/openapi/v2", &[("accept", "text/html")], b"");
    assert_eq!(code, 406, "{status}");
}
