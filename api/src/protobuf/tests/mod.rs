//! Objects both ways, and bodies as Go clients send them.

mod hostile;
mod random;
mod table;
mod upstream;

use serde_json::{Value, json};

use super::*;

/// Encodes an object with its envelope.
fn body(value: &Value) -> Vec<u8> {
    let (version, kind) = (
        value["apiVersion"].as_str().unwrap(),
        value["kind"].as_str().unwrap(),
    );
    let message = of_kind(version, kind).unwrap();
    let json = serde_json::to_vec(value).unwrap();
    envelope::object(version, kind, message, &json).unwrap()
}

/// Decodes a body that says what it is.
fn back(body: &[u8]) -> Value {
    decode(body, ("", "")).unwrap()
}

/// Writes a field with a length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put_bytes(&mut out, u32::from(number), content);
    out
}

fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

/// A body of these bytes.
fn enveloped(version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let mut out = envelope::head(version, kind, object.len());
    out.extend_from_slice(object);
    out.extend_from_slice(envelope::TAIL);
    out
}

/// What `kubectl create configmap a --from-literal=x=y` sends.
#[test]
fn reads_what_kubectl_sends() {
    let sent = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x1b\x0a\x11\x0a\x01a\x12\x00\x1a\x00\x22\x00\x2a\x00\x32\x00\x38\x00\x42\x00\x12\x06\x0a\x01x\x12\x01y\x1a\x00\x22\x00";
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "y"}});
    assert_eq!(back(sent), map);
    // Of what we write, the same without the zeros; JSON's order is that of names.
    let written = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x0d\x12\x06\x0a\x01x\x12\x01y\x0a\x03\x0a\x01a\x1a\x00\x22\x00";
    assert_eq!(body(&map), written);
}

#[test]
fn a_body_without_a_kind_is_of_the_expected_one() {
    let map = enveloped("", "", &field(1, &field(1, b"a")));
    let read = decode(&map, ("v1", "ConfigMap")).unwrap();
    assert_eq!(
        read,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
    );
    assert!(matches!(decode(&map, ("", "")), Err(DecodeError::Unknown { .. })));
}

#[test]
fn zeros_of_pointers_stay_and_other_zeros_go() {
    let selector = field(1, &[field(1, b"app"), field(2, b"x")].concat());
    let spec = [number(1, 0), field(2, &selector), number(5, 0)].concat();
    let status = [number(2, 0), number(1, 0)].concat();
    let deployment = [field(1, &field(1, b"d")), field(2, &spec), field(3, &status)].concat();
    assert_eq!(
        back(&enveloped("apps/v1", "Deployment", &deployment)),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "x"}}}, "status": {},
        })
    );
    // Go has no `omitempty` here, so its JSON has the zero as well.
    let set = field(3, &[number(1, 0), number(2, 0)].concat());
    assert_eq!(
        back(&enveloped("apps/v1", "ReplicaSet", &set))["status"],
        json!({"replicas": 0})
    );
}

#[test]
fn special_types_have_their_json_form() {
    let port = [
        number(3, 80),
        field(4, &[number(1, 1), field(3, b"web")].concat()),
    ]
    .concat();
    let service = field(2, &field(1, &port));
    assert_eq!(
        back(&enveloped("v1", "Service", &service))["spec"]["ports"][0],
        json!({"port": 80, "targetPort": "web"})
    );
    let volume = [field(1, b"v"), field(2, &field(2, b""))].concat();
    let limits = field(1, &[field(1, b"cpu"), field(2, &field(1, b"100m"))].concat());
    let probe = field(1, &field(2, &[field(1, b"/"), field(2, &number(2, 9))].concat()));
    let container = [field(1, b"c"), field(8, &limits), field(10, &probe)].concat();
    let pod = field(2, &[field(1, &volume), field(2, &container)].concat());
    let pod = back(&enveloped("v1", "Pod", &pod));
    assert_eq!(pod["spec"]["volumes"], json!([{"name": "v", "emptyDir": {}}]));
    assert_eq!(pod["spec"]["containers"][0]["resources"]["limits"]["cpu"], "100m");
    assert_eq!(
        pod["spec"]["containers"][0]["livenessProbe"],
        json!({"httpGet": {"path": "/", "port": 9}})
    );
    let secret = field(2, &[field(1, b"k"), field(2, b"\x00\xff")].concat());
    assert_eq!(back(&enveloped("v1", "Secret", &secret))["data"]["k"], "AP8=");
}

/// An object with everything that is special goes there and back.
#[test]
fn what_is_written_is_read_back() {
    for object in [
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "p", "creationTimestamp": "2024-02-29T23:59:59Z", "labels": {"a": "", "b": "\"\\\u{e9}\u{1f600}\n"},
                "managedFields": [{"manager": "m", "operation": "Apply", "apiVersion": "v1", "time": "1969-12-31T23:59:59Z",
                    "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"k:{\"name\":\"c\"}": {".": {}}}}}],
                "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u", "controller": false}],
            },
            "spec": {
                "volumes": [
                    {"name": "e", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "x", "optional": false, "defaultMode": 0}},
                    {"name": "p", "projected": {"sources": [{"configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}}]}},
                ],
                "containers": [{
                    "name": "c", "livenessProbe": {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 1},
                    "readinessProbe": {"tcpSocket": {"port": -1}},
                    "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "n", "key": "k"}}}],
                    "resources": {"limits": {"cpu": "100m", "memory": "1Gi"}}, "securityContext": {"runAsUser": 0},
                }],
                "ephemeralContainers": [{"name": "d", "image": "i", "targetContainerName": "c"}],
                "terminationGracePeriodSeconds": 0, "securityContext": {"supplementalGroups": [1, 0, 4_294_967_295_u32]},
            },
            "status": {"containerStatuses": [{"name": "c", "ready": false, "restartCount": 0, "image": "", "imageID": ""}]},
        }),
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {},
            "spec": {"renewTime": "2026-11-28T07:00:00.000042Z", "leaseDurationSeconds": 40},
        }),
        json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": {},
            "status": {"user": {"extra": {"a": ["b", ""], "c": []}}},
        }),
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {},
            "spec": {"group": "g", "scope": "Cluster", "names": {"plural": "p", "kind": "K"}, "versions": [{
                "name": "v1", "served": true, "storage": false, "schema": {"openAPIV3Schema": {
                    "$ref": "r", "default": [1, null, {"a": false}], "maximum": -0.5, "minLength": 0, "enum": ["a", 1, null],
                    "items": {"type": "string"}, "additionalProperties": false, "additionalItems": {"type": "x"},
                    "x-kubernetes-preserve-unknown-fields": false,
                    "properties": {"a": {"items": [{"type": "integer"}, {}], "additionalProperties": true}},
                    "dependencies": {"a": ["b"], "c": {"type": "object"}},
                }},
            }]},
        }),
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {},
            "spec": {"matchConstraints": {"resourceRules": [
                {"resourceNames": ["n"], "operations": ["CREATE"], "apiGroups": [""], "resources": ["pods"]},
            ]}},
        }),
        json!({
            "apiVersion": "v1", "kind": "SecretList", "metadata": {"resourceVersion": "1", "remainingItemCount": 0},
            "items": [{"metadata": {"name": "a"}, "data": {"k": "AP8=", "e": ""}}, {}],
        }),
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": {},
            "items": [{"metadata": {"name": "a"}}],
        }),
        json!({
            "apiVersion": "v1", "kind": "APIResourceList", "groupVersion": "v1", "resources": [
                {"name": "pods", "singularName": "", "namespaced": true, "kind": "Pod", "verbs": ["get"]},
            ],
        }),
    ] {
        assert_eq!(back(&body(&object)), object);
    }
}

#[test]
fn what_does_not_fit_is_left_out() {
    let object = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": 5, "unknown": {"a": [1]}, "labels": [], "generation": 1.5},
        "spec": {"containers": {}, "nodeName": null, "volumes": [null, 3], "priority": "x", "hostPID": 1,
            "overhead": {"cpu": 2, "memory": []}, "terminationGracePeriodSeconds": 3.0},
        "status": [],
    });
    assert_eq!(
        back(&body(&object)),
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {},
            "spec": {"volumes": [{}], "overhead": {"cpu": "2", "memory": "0"}, "terminationGracePeriodSeconds": 3},
        })
    );
}

/// The length before a long field takes more than a byte.
#[test]
fn lengths_of_all_sizes() {
    for size in [0, 1, 126, 127, 128, 129, 16_383, 16_384, 20_000, 3_000_000] {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n"}, "data": {"k": "x".repeat(size)}});
        let body = body(&object);
        assert_eq!(back(&body), object, "{size}");
        let envelope = envelope::read(&body).unwrap();
        assert_eq!(
            envelope::item(envelope.raw.len()).len() + envelope.raw.len(),
            envelope::item_length(envelope.raw.len())
        );
    }
}

/// A frame of a watch, byte by byte.
#[test]
fn watch_events_have_their_length_before_them() {
    let mut out = Vec::new();
    envelope::frame(&mut out, "ADDED", b"body");
    assert_eq!(out, b"\0\0\0\x0f\x0a\x05ADDED\x12\x06\x0a\x04body");
}
