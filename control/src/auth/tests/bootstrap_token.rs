//! Bootstrap tokens: who comes with one, and what makes one void.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keelson_api::time;
use serde_json::{Value, json};

use super::super::bootstrap_token::{Expiry, parse};
use super::*;

const TOKEN: &str = "abcdef.0123456789abcdef";

/// The token's Secret with some values changed (or, by an empty text, left out).
fn secret(changes: &[(&str, &str)]) -> Value {
    let mut data = vec![
        ("token-id", "abcdef"),
        ("token-secret", "0123456789abcdef"),
        ("usage-bootstrap-authentication", "true"),
        (
            "auth-extra-groups",
            "system:bootstrappers:workers,system:bootstrappers:a",
        ),
    ];
    for (key, value) in changes {
        data.retain(|(own, _)| own != key);
        if !value.is_empty() {
            data.push((key, value));
        }
    }
    let data: serde_json::Map<_, _> = data
        .into_iter()
        .map(|(key, value)| (key.to_owned(), STANDARD.encode(value).into()))
        .collect();
    json!({
        "metadata": {"namespace": "kube-system", "name": "bootstrap-token-abcdef"},
        "type": "bootstrap.kubernetes.io/token",
        "data": data,
    })
}

#[test]
fn a_token_stands_for_its_id_and_groups() {
    let fixture = fixture();
    assert_eq!(fixture.bearer(TOKEN), Err(401));
    fixture.memory.put(&SECRETS, &secret(&[]));
    let user = fixture.bearer(TOKEN).unwrap();
    assert_eq!(user.name, "system:bootstrap:abcdef");
    assert_eq!(
        user.groups,
        [
            "system:bootstrappers",
            "system:bootstrappers:a",
            "system:bootstrappers:workers",
            "system:authenticated"
        ]
    );
    fixture
        .memory
        .put(&SECRETS, &secret(&[("auth-extra-groups", "")]));
    let user = fixture.bearer(TOKEN).unwrap();
    assert_eq!(user.groups, ["system:bootstrappers", "system:authenticated"]);
    fixture
        .memory
        .remove(&SECRETS, "kube-system", "bootstrap-token-abcdef");
    assert_eq!(fixture.bearer(TOKEN), Err(401));
}

#[test]
fn a_token_that_is_wrong_in_any_way_is_refused() {
    let fixture = fixture();
    let (past, future) = (time::format(time::now() - 1), time::format(time::now() + 60));
    for (changes, accepted) in [
        (&[("token-secret", "0123456789abcdee")][..], false),
        (&[("token-secret", "")], false),
        (&[("token-id", "abcdeg")], false),
        (&[("usage-bootstrap-authentication", "")], false),
        (&[("usage-bootstrap-authentication", "True")], false),
        (&[("expiration", past.as_str())], false),
        (&[("expiration", "tomorrow")], false),
        (&[("expiration", future.as_str())], true),
        (&[("auth-extra-groups", "system:masters")], false),
        (&[("auth-extra-groups", "system:bootstrappers:")], false),
        (&[("auth-extra-groups", "system:bootstrappers:a,")], false),
        (&[("auth-extra-groups", "system:bootstrappers:A")], false),
        (&[("auth-extra-groups", "system:bootstrappers:a-")], false),
        (&[("auth-extra-groups", "system:bootstrappers:a:b-c")], true),
    ] {
        fixture.memory.put(&SECRETS, &secret(changes));
        assert_eq!(fixture.bearer(TOKEN).is_ok(), accepted, "{changes:?}");
    }
    let mut other = secret(&[]);
    other["type"] = "Opaque".into();
    fixture.memory.put(&SECRETS, &other);
    assert_eq!(fixture.bearer(TOKEN), Err(401));
    let mut leaving = secret(&[]);
    leaving["metadata"]["deletionTimestamp"] = time::now_rfc3339().into();
    fixture.memory.put(&SECRETS, &leaving);
    assert_eq!(fixture.bearer(TOKEN), Err(401));
    // The same Secret in another namespace is anybody's.
    let mut elsewhere = secret(&[]);
    elsewhere["metadata"]["namespace"] = "a".into();
    fixture
        .memory
        .remove(&SECRETS, "kube-system", "bootstrap-token-abcdef");
    fixture.memory.put(&SECRETS, &elsewhere);
    assert_eq!(fixture.bearer(TOKEN), Err(401));
}

#[test]
fn only_six_and_sixteen_small_letters_and_digits_are_a_token() {
    assert_eq!(parse(TOKEN), Some(("abcdef", "0123456789abcdef")));
    for token in [
        "",
        ".",
        "abcdef",
        "abcdef.0123456789abcde",
        "abcdef.0123456789abcdef0",
        "abcde.0123456789abcdef",
        "ABCDEF.0123456789abcdef",
        "abcdef.0123456789abcde.",
        "ab/def.0123456789abcdef",
        "../../.0123456789abcdef",
        "abcdef:0123456789abcdef",
    ] {
        assert_eq!(parse(token), None, "{token}");
    }
}

#[test]
fn what_may_sign_and_how_long_is_in_the_secret() {
    let data = |changes: &[(&str, &str)]| {
        let secret = secret(changes);
        serde_json::from_value::<super::super::bootstrap_token::Data>(secret["data"].clone()).unwrap()
    };
    let name = "bootstrap-token-abcdef";
    assert_eq!(data(&[]).signer(name, 0), None);
    let signing = data(&[("usage-bootstrap-signing", "true")]);
    let parts = ("abcdef".to_owned(), "0123456789abcdef".to_owned());
    assert_eq!(signing.signer(name, 0), Some(parts));
    assert_eq!(signing.signer("bootstrap-token-abcdeg", 0), None);
    let ending = data(&[
        ("expiration", "1970-01-01T00:01:00Z"),
        ("usage-bootstrap-signing", "true"),
    ]);
    assert_eq!(
        (ending.expiry(0), ending.expiry(60)),
        (Expiry::In(60), Expiry::Past)
    );
    assert_eq!(ending.signer(name, 60), None);
    assert_eq!(signing.expiry(i64::MAX), Expiry::Never);
}

#[test]
fn a_review_tells_of_a_token_as_of_any_other() {
    let fixture = fixture();
    fixture.memory.put(&SECRETS, &secret(&[]));
    let review = |spec: Value| {
        super::super::reviews::token_review(&fixture.authenticator, &json!({"spec": spec})).unwrap()["status"]
            .clone()
    };
    let status = review(json!({"token": TOKEN}));
    assert_eq!(status["authenticated"], true);
    assert_eq!(status["user"]["username"], "system:bootstrap:abcdef");
    assert_eq!(
        status["audiences"],
        json!(["https://kubernetes.default.svc.cluster.local"])
    );
    let status = review(json!({"token": TOKEN, "audiences": ["other"]}));
    assert_ne!(status["authenticated"], true);
}
