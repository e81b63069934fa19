//! FieldValidation of typed objects, as the conformance suite's rows describe it.

use http::Method;
use serde_json::Value;

use crate::cluster::Cluster;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

/// A Deployment as a text, in which a field can stand twice.
fn deployment(metadata: &str, spec: &str) -> String {
    let template = r#"{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}"#;
    format!(
        r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"d"{metadata}}},"spec":{{{spec}"replicas":0,"selector":{{"matchLabels":{{"a":"b"}}}},"template":{template}}}}}"#
    )
}

/// The code, the warnings and the message or nothing of an answer.
fn send(
    cluster: &Cluster,
    method: Method,
    path: &str,
    media: &str,
    body: &str,
) -> (u16, Vec<String>, String) {
    let headers = [("content-type", media)];
    let (code, warnings, body) = cluster.warned(method, path, &headers, body.as_bytes()).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    (
        code,
        warnings,
        body["message"].as_str().unwrap_or_default().to_owned(),
    )
}

/// Should detect unknown and duplicate fields of a typed object; and: unknown metadata fields of a typed object.
#[test]
fn typed_objects_have_known_fields_once() {
    let cluster = Cluster::start();
    let json = "application/json";
    for (metadata, spec, complaint) in [
        (
            "",
            r#""unknownField":"u","#,
            r#"unknown field "spec.unknownField""#,
        ),
        ("", r#""replicas":1,"#, r#"duplicate field "spec.replicas""#),
        (
            r#","unknownMeta":"u""#,
            "",
            r#"unknown field "metadata.unknownMeta""#,
        ),
    ] {
        let body = deployment(metadata, spec);
        let post = |validation: &str| {
            let path = format!("{DEPLOYMENTS}?dryRun=All&fieldValidation={validation}");
            send(&cluster, Method::POST, &path, json, &body)
        };
        let strict =
            "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: ";
        assert_eq!(post("Strict"), (400, Vec::new(), format!("{strict}{complaint}")));
        let (code, warnings, _) = post("Warn");
        assert_eq!((code, warnings.len()), (201, 1), "{warnings:?}");
        assert!(
            warnings[0].contains(&complaint.replace('"', "\\\"")),
            "{warnings:?}"
        );
        assert_eq!(post("Ignore"), (201, Vec::new(), String::new()));
    }
}

/// The same of those who change an object and of those who apply one.
#[test]
fn changes_of_typed_objects_have_known_fields_once() {
    let cluster = Cluster::start();
    let json = "application/json";
    let plain = deployment("", "");
    assert_eq!(send(&cluster, Method::POST, DEPLOYMENTS, json, &plain).0, 201);
    let path = format!("{DEPLOYMENTS}/d?fieldValidation=Strict");
    for (method, media, body, complaint) in [
        (
            Method::PUT,
            json,
            deployment(r#","unknownMeta":"u""#, ""),
            r#"unknown field "metadata.unknownMeta""#,
        ),
        (
            Method::PUT,
            json,
            deployment("", r#""replicas":1,"#),
            r#"duplicate field "spec.replicas""#,
        ),
        (
            Method::PATCH,
            "application/merge-patch+json",
            r#"{"metadata":{"unknownMeta":"u"},"spec":{"paused":true,"paused":true}}"#.to_owned(),
            r#"unknown field "metadata.unknownMeta""#,
        ),
        (
            Method::PATCH,
            "application/merge-patch+json",
            r#"{"spec":{"paused":true,"paused":true}}"#.to_owned(),
            r#"duplicate field "spec.paused""#,
        ),
    ] {
        let (code, _, message) = send(&cluster, method.clone(), &path, media, &body);
        assert!(message.contains(complaint), "{method} {body}: {code} {message}");
        assert!(matches!(code, 400 | 422), "{method} {body}: {code} {message}");
    }
    // The error of whoever applies has no code of its own in upstream's.
    let path = format!("{path}&fieldManager=m&force=true");
    let body = deployment(r#","unknownMeta":"u""#, "");
    let (code, _, message) = send(
        &cluster,
        Method::PATCH,
        &path,
        "application/apply-patch+yaml",
        &body,
    );
    assert_eq!(code, 500, "{message}");
    assert!(
        message.contains(".metadata.unknownMeta: field not declared in schema"),
        "{message}"
    );
}
