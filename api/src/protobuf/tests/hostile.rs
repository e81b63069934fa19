//! Bodies that no honest client sends, and JSON that no server stores.

use proptest::prelude::*;
use serde_json::json;

use super::{body, enveloped, field, number};
use crate::protobuf::wire::Reader;
use crate::protobuf::{DecodeError, decode, encode, envelope, of_kind};

fn pod(object: &[u8]) -> Result<serde_json::Value, DecodeError> {
    decode(&enveloped("v1", "Pod", object), ("v1", "Pod"))
}

#[test]
fn refuses_what_it_does_not_know() {
    assert_eq!(decode(b"{}", ("v1", "Pod")), Err(DecodeError::Magic));
    assert_eq!(decode(b"", ("v1", "Pod")), Err(DecodeError::Magic));
    assert!(matches!(
        decode(&enveloped("v9", "Thing", b""), ("v1", "Pod")),
        Err(DecodeError::Unknown { .. })
    ));
    let whole = enveloped("v1", "ConfigMap", &field(1, &field(1, b"name")));
    assert!((0..whole.len() - 4).all(|end| decode(&whole[..end], ("v1", "X")).is_err() || end == 4 + 2 + 15));
}

#[test]
fn lengths_beyond_the_end() {
    for length in [
        &[0x7f][..],
        &[0xff, 0xff, 0xff, 0xff, 0x07],
        &[0xff; 9],
        &[0xff; 11],
    ] {
        assert!(pod(&[&[0x0a], length].concat()).is_err());
        // In a packed list and in an unknown field as well.
        assert!(pod(&[&[0xfa, 0x7f], length].concat()).is_err());
    }
}

#[test]
fn overlong_numbers() {
    // Ten bytes are what a 64-bit number may take; more are refused, wherever they stand.
    let ten = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let grace = |value: &[u8]| pod(&field(2, &[&[4 << 3], value].concat()));
    assert_eq!(grace(&ten).unwrap()["spec"]["terminationGracePeriodSeconds"], -1);
    let padded = [0x85, 0x80, 0x80, 0x00];
    assert_eq!(
        grace(&padded).unwrap()["spec"]["terminationGracePeriodSeconds"],
        5
    );
    assert_eq!(grace(&[0x80; 11]), Err(DecodeError::Malformed("varint")));
    assert_eq!(grace(&[0x80; 3]), Err(DecodeError::Malformed("varint")));
}

#[test]
fn groups_are_skipped_where_they_are_unknown() {
    // Field 100, a group that holds a group, a text and a number.
    let group = [
        &[0xa3, 0x06, 0x0b][..],
        &field(2, b"x"),
        &number(3, 1),
        &[0x0c],
        &[0xa4, 0x06],
    ]
    .concat();
    let named = field(1, &field(1, b"p"));
    let read = pod(&[group.as_slice(), &named].concat()).unwrap();
    assert_eq!(read["metadata"]["name"], "p");
    // A group that does not end, one that was not begun, and one in the place of a message.
    assert!(pod(&[0xa3, 0x06]).is_err());
    assert!(pod(&[0xa4, 0x06]).is_err());
    assert!(pod(&[0x0b, 0x0c]).is_err());
    // Very many that lie in each other cost no stack.
    assert!(pod(&vec![0x0b; 3 << 20]).is_err());
}

#[test]
fn malformed_keys_and_types() {
    // Field 0, field beyond 2^29, reserved wire types.
    for bytes in [&[0x02, 0x00][..], &[0x00, 0x00], &[0xff; 10], &[0x0e], &[0x0f]] {
        assert!(pod(bytes).is_err(), "{bytes:?}");
    }
    // A number where a text is, and the other way round.
    assert!(matches!(
        pod(&field(1, &number(1, 5))),
        Err(DecodeError::WireType(_))
    ));
    assert!(matches!(
        pod(&field(2, &field(4, b"5"))),
        Err(DecodeError::WireType(_))
    ));
    assert!(matches!(pod(&number(1, 5)), Err(DecodeError::WireType(_))));
    assert_eq!(
        pod(&field(1, &field(1, b"\xff\xfe"))),
        Err(DecodeError::Malformed("UTF-8"))
    );
    assert_eq!(
        decode(
            &enveloped("apps/v1", "ControllerRevision", &field(2, &field(1, b"{"))),
            ("", "")
        ),
        Err(DecodeError::Malformed("raw JSON"))
    );
}

#[test]
fn nesting_has_an_end() {
    let mut schema = Vec::new();
    for _ in 0..5000 {
        schema = field(28, &schema);
        if schema.len() > 200_000 {
            break;
        }
    }
    let definition = field(2, &field(7, &field(4, &field(1, &schema))));
    let body = enveloped("apiextensions.k8s.io/v1", "CustomResourceDefinition", &definition);
    assert_eq!(decode(&body, ("", "")), Err(DecodeError::Depth));
}

#[test]
fn a_small_body_does_not_grow_without_end() {
    // A million and more empty containers in three megabytes.
    let many: Vec<u8> = [0x12, 0x00].repeat(3 << 19);
    assert_eq!(pod(&field(2, &many)), Err(DecodeError::Size));
}

#[test]
fn malformed_json_is_an_error() {
    let message = of_kind("v1", "Pod").unwrap();
    for json in [
        "",
        "x",
        "[]",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"spec\":{\"containers\":[}",
        "{}{}",
        "{\"a\":tru}",
        "{\"a\":}",
        "{,}",
        "{\"a\" 1}",
        "{\"metadata\":{\"name\":\"\\u12\"}}",
        "{\"a\":[}",
    ] {
        let mut out = b"kept".to_vec();
        assert!(
            encode(message, json.as_bytes(), &mut out).is_err() || json == "{\"a\":[}",
            "{json}"
        );
        assert!(out.starts_with(b"kept"));
    }
    let deep = format!("{}{}", "{\"a\":[".repeat(100_000), "]}".repeat(100_000));
    assert!(encode(message, deep.as_bytes(), &mut Vec::new()).is_ok());
}

proptest! {
    #[test]
    fn bodies_of_noise_do_not_panic(
        object in proptest::collection::vec(any::<u8>(), 0..200),
        kind in prop_oneof!["Pod", "Service", "Event", "PodList", "Secret", "DeleteOptions"],
    ) {
        let _ = decode(&enveloped("v1", &kind, &object), ("v1", &kind));
        let _ = decode(&[b"k8s\0".as_slice(), &object].concat(), ("v1", &kind));
        let mut reader = Reader::new(&object);
        while let Ok(Some(_)) = reader.field() {}
    }

    /// Real bodies, with some bytes changed or cut off.
    #[test]
    fn broken_bodies_do_not_panic(changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4), cut in any::<usize>()) {
        let mut bytes = body(&json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}, "creationTimestamp": "2024-01-01T00:00:00Z"},
            "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}, "livenessProbe": {"httpGet": {"port": 1}}}]},
        }));
        let length = bytes.len();
        for (at, byte) in changes {
            bytes[at % length] = byte;
        }
        let _ = decode(&bytes, ("v1", "Pod"));
        bytes.truncate(cut % (length + 1));
        let _ = decode(&bytes, ("v1", "Pod"));
        let _ = envelope::read(&bytes);
    }

    #[test]
    fn texts_of_noise_do_not_panic(json in "[\\[\\]{}\",:a\\\\ 0-9.etn-]{0,60}") {
        let message = of_kind("v1", "Pod").unwrap();
        let _ = encode(message, json.as_bytes(), &mut Vec::new());
        let _ = encode(message, format!("{{\"metadata\":{json}}}").as_bytes(), &mut Vec::new());
        let _ = encode(message, format!("{{\"spec\":{{\"containers\":[{json}]}}}}").as_bytes(), &mut Vec::new());
    }
}
