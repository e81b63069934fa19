//! Bodies as Go clients send them, and hostile ones.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Writes a field with a length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = content.len();
    while length > 0x7f {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(content);
    out
}

fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

fn body(version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let meta = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
    [
        MAGIC.to_vec(),
        field(1, &meta),
        field(2, object),
        field(3, b""),
        field(4, b""),
    ]
    .concat()
}

/// What `kubectl create configmap a --from-literal=x=y` sends.
#[test]
fn reads_what_kubectl_sends() {
    let sent = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x1b\x0a\x11\x0a\x01a\x12\x00\x1a\x00\x22\x00\x2a\x00\x32\x00\x38\x00\x42\x00\x12\x06\x0a\x01x\x12\x01y\x1a\x00\x22\x00";
    assert_eq!(
        decode(sent).unwrap(),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "y"}})
    );
}

#[test]
fn zeros_of_pointers_stay_and_other_zeros_go() {
    let selector = field(1, &[field(1, b"app"), field(2, b"x")].concat());
    let spec = [number(1, 0), field(2, &selector), number(5, 0)].concat();
    let deployment = [field(1, &field(1, b"d")), field(2, &spec)].concat();
    assert_eq!(
        decode(&body("apps/v1", "Deployment", &deployment)).unwrap(),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "x"}}},
        })
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
        decode(&body("v1", "Service", &service)).unwrap()["spec"]["ports"][0],
        json!({"port": 80, "targetPort": "web"})
    );
    let volume = [field(1, b"v"), field(2, &field(2, b""))].concat();
    let limits = field(1, &[field(1, b"cpu"), field(2, &field(1, b"100m"))].concat());
    let probe = field(1, &field(2, &[field(1, b"/"), field(2, &number(2, 9))].concat()));
    let container = [field(1, b"c"), field(8, &limits), field(10, &probe)].concat();
    let pod = field(2, &[field(1, &volume), field(2, &container)].concat());
    let pod = decode(&body("v1", "Pod", &pod)).unwrap();
    assert_eq!(pod["spec"]["volumes"], json!([{"name": "v", "emptyDir": {}}]));
    assert_eq!(pod["spec"]["containers"][0]["resources"]["limits"]["cpu"], "100m");
    assert_eq!(
        pod["spec"]["containers"][0]["livenessProbe"],
        json!({"httpGet": {"path": "/", "port": 9}})
    );
    let secret = field(2, &[field(1, b"k"), field(2, b"\x00\xff")].concat());
    assert_eq!(
        decode(&body("v1", "Secret", &secret)).unwrap()["data"]["k"],
        "AP8="
    );
}

#[test]
fn refuses_what_it_does_not_know() {
    assert_eq!(decode(b"{}"), Err(ProtobufError::Magic));
    assert!(matches!(
        decode(&body("v9", "Thing", b"")),
        Err(ProtobufError::Unknown(_))
    ));
    let mut whole = body("v1", "ConfigMap", &field(1, &field(1, b"name")));
    whole.truncate(whole.len() - 10);
    assert!(decode(&whole).is_err());
}

proptest! {
    #[test]
    fn hostile_bodies_do_not_panic(object in proptest::collection::vec(any::<u8>(), 0..200), kind in prop_oneof!["Pod", "Service", "Event"]) {
        let _ = decode(&body("v1", &kind, &object));
        let _ = decode(&[MAGIC, &object].concat());
    }
}
