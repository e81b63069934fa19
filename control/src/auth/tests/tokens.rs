//! Token requests, and what must not pass for a token.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Fixture, fixture};
use crate::auth::resources::{NODES, PODS, SECRETS, SERVICE_ACCOUNTS};

/// Removes what a token is bound to.
type Kill = fn(&Fixture);

fn parts(token: &str) -> (Value, Value, String) {
    let all: Vec<&str> = token.split('.').collect();
    let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (json(all[0]), json(all[1]), all[2].to_owned())
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn refused(fixture: &Fixture, token: &str) {
    assert_eq!(fixture.bearer(token), Err(401), "{token}");
}

#[test]
fn a_bound_token_has_upstreams_claims() {
    let fixture = fixture();
    let request = json!({"spec": {
        "expirationSeconds": 3607,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "pod", "uid": "pod-uid"},
    }});
    let answer = fixture.authenticator.issue_token("a", "robot", &request).unwrap();
    assert_eq!(answer["kind"], "TokenRequest");
    assert_eq!(
        answer["spec"]["audiences"],
        json!(["https://kubernetes.default.svc.cluster.local"])
    );
    let (header, claims, _) = parts(answer["status"]["token"].as_str().unwrap());
    assert_eq!(header["alg"], "ES256");
    assert_eq!(claims["iss"], "https://kubernetes.default.svc.cluster.local");
    assert_eq!(claims["sub"], "system:serviceaccount:a:robot");
    // The life that kubelets ask for is extended for clients that read the token once; what is answered is what was asked.
    let issued = claims["iat"].as_i64().unwrap();
    assert_eq!(claims["exp"].as_i64().unwrap() - issued, 365 * 24 * 3600);
    assert_eq!(
        answer["status"]["expirationTimestamp"],
        keelson_api::time::format(issued + 3607)
    );
    assert_eq!(
        claims["kubernetes.io"],
        json!({
            "namespace": "a",
            "node": {"name": "n1", "uid": "node-uid"},
            "pod": {"name": "pod", "uid": "pod-uid"},
            "serviceaccount": {"name": "robot", "uid": "sa-uid"},
            "warnafter": issued + 3607,
        })
    );
    let user = fixture
        .bearer(answer["status"]["token"].as_str().unwrap())
        .unwrap();
    assert_eq!(user.uid, "sa-uid");
    assert_eq!(
        user.groups,
        [
            "system:serviceaccounts",
            "system:serviceaccounts:a",
            "system:authenticated"
        ]
    );
    assert_eq!(user.extra["authentication.kubernetes.io/pod-name"], ["pod"]);
    assert_eq!(user.extra["authentication.kubernetes.io/node-uid"], ["node-uid"]);
    assert!(user.extra["authentication.kubernetes.io/credential-id"][0].starts_with("JTI="));
}

#[test]
fn only_tokens_of_pods_for_this_server_are_extended() {
    let fixture = fixture();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "name": "pod"});
    for spec in [
        json!({"expirationSeconds": 3607}),
        json!({"expirationSeconds": 3607, "boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "secret"}}),
        json!({"expirationSeconds": 3607, "boundObjectRef": pod, "audiences": ["vault"]}),
        json!({
            "expirationSeconds": 3607, "boundObjectRef": pod,
            "audiences": ["https://kubernetes.default.svc.cluster.local", "vault"],
        }),
        json!({"expirationSeconds": 3608, "boundObjectRef": pod}),
    ] {
        let (_, claims, _) = parts(&fixture.token(spec.clone()));
        let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert!(life <= 3608, "{spec}");
        assert!(claims["kubernetes.io"]["warnafter"].is_null(), "{spec}");
    }
}

#[test]
fn stale_tokens_are_good_and_counted() {
    let fixture = fixture();
    let tokens = fixture.authenticator.tokens();
    let token = fixture.token(json!({
        "expirationSeconds": 3607, "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "pod"},
    }));
    let own = [tokens.issuer().to_owned()];
    let now = keelson_api::time::now();
    let count = |name: &str| {
        let all = tokens.counters().all();
        all.iter().find(|(own, ..)| *own == name).unwrap().2
    };
    assert!(tokens.user(&token, &own, now).is_ok());
    assert_eq!((count("valid_tokens_total"), count("stale_tokens_total")), (1, 0));
    assert!(tokens.user(&token, &own, now + 4000).is_ok());
    assert_eq!((count("valid_tokens_total"), count("stale_tokens_total")), (1, 1));
    assert!(tokens.user(&token, &own, now + 366 * 24 * 3600).is_err());
}

#[test]
fn a_token_dies_with_what_it_is_bound_to() {
    let bound =
        |kind: &str, name: &str| json!({"boundObjectRef": {"apiVersion": "v1", "kind": kind, "name": name}});
    let cases: [(Value, Kill); 6] = [
        (json!({}), |f| f.memory.remove(&SERVICE_ACCOUNTS, "a", "robot")),
        (json!({}), |f| {
            f.memory.put(
                &SERVICE_ACCOUNTS,
                &json!({"metadata": {"namespace": "a", "name": "robot", "uid": "new"}}),
            );
        }),
        (bound("Pod", "pod"), |f| f.memory.remove(&PODS, "a", "pod")),
        (bound("Pod", "pod"), |f| {
            f.memory.put(&PODS, &json!({"metadata": {
                "namespace": "a", "name": "pod", "uid": "pod-uid", "deletionTimestamp": "2020-01-01T00:00:00Z",
            }}));
        }),
        (bound("Secret", "secret"), |f| {
            f.memory.remove(&SECRETS, "a", "secret");
        }),
        (bound("Node", "n1"), |f| f.memory.remove(&NODES, "", "n1")),
    ];
    for (spec, kill) in cases {
        let fixture = fixture();
        let token = fixture.token(spec);
        assert!(fixture.bearer(&token).is_ok());
        kill(&fixture);
        refused(&fixture, &token);
    }
}

#[test]
fn a_pod_that_is_ending_keeps_its_token_for_a_while() {
    let fixture = fixture();
    let token = fixture.token(json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "pod"}}));
    fixture.memory.put(&PODS, &json!({"metadata": {
        "namespace": "a", "name": "pod", "uid": "pod-uid", "deletionTimestamp": keelson_api::time::now_rfc3339(),
    }}));
    assert!(fixture.bearer(&token).is_ok());
}

#[test]
fn time_and_audience() {
    let fixture = fixture();
    let tokens = fixture.authenticator.tokens();
    let now = keelson_api::time::now();
    let own = [tokens.issuer().to_owned()];
    let token = fixture.token(json!({"expirationSeconds": 600}));
    assert!(tokens.user(&token, &own, now + 590).is_ok());
    assert!(tokens.user(&token, &own, now + 700).is_err());
    assert!(tokens.user(&token, &own, now - 120).is_err());
    let vault = fixture.token(json!({"audiences": ["vault"]}));
    refused(&fixture, &vault);
    assert!(tokens.user(&vault, &["vault".to_owned()], now).is_ok());
    assert!(tokens.user(&token, &["vault".to_owned()], now).is_err());
}

#[test]
fn requests_that_make_no_sense() {
    let fixture = fixture();
    let ask = |spec: Value| {
        let status = fixture
            .authenticator
            .issue_token("a", "robot", &json!({"spec": spec}))
            .unwrap_err();
        (status.code, status.message)
    };
    let (code, message) = ask(json!({"expirationSeconds": 5}));
    assert_eq!(code, 422);
    assert!(message.contains(
        "spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes"
    ));
    assert_eq!(ask(json!({"expirationSeconds": 1i64 << 33})).0, 422);
    assert_eq!(ask(json!({"expirationSeconds": "x"})).0, 400);
    let bound = |kind: &str, name: &str, uid: &str| {
        ask(json!({"boundObjectRef": {"apiVersion": "v1", "kind": kind, "name": name, "uid": uid}})).0
    };
    assert_eq!(bound("Pod", "gone", ""), 404);
    assert_eq!(bound("Pod", "pod", "other"), 409);
    assert_eq!(bound("ConfigMap", "x", ""), 400);
    fixture.memory.put(
        &SERVICE_ACCOUNTS,
        &json!({"metadata": {"namespace": "a", "name": "other", "uid": "u"}}),
    );
    let request = json!({"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "pod"}}});
    assert_eq!(
        fixture
            .authenticator
            .issue_token("a", "other", &request)
            .unwrap_err()
            .code,
        400
    );
    assert_eq!(
        fixture
            .authenticator
            .issue_token("b", "robot", &json!({}))
            .unwrap_err()
            .code,
        404
    );
}

#[test]
fn other_algorithms_and_keys() {
    let fixture = fixture();
    let token = fixture.token(json!({}));
    let (header, claims, signature) = parts(&token);
    assert!(fixture.bearer(&token).is_ok());
    // Unsigned, in every spelling.
    for alg in ["none", "None", "NONE", "", "HS256", "ES384", "RS256"] {
        let mut forged = header.clone();
        forged["alg"] = alg.into();
        for signature in ["", signature.as_str()] {
            refused(
                &fixture,
                &format!("{}.{}.{signature}", encode(&forged), encode(&claims)),
            );
        }
    }
    // HMAC with the public key as secret: the key set is public.
    let jwks = fixture.authenticator.jwks();
    let secret = std::fs::read(fixture.dir.path().join("sa.pub")).unwrap();
    let signed = format!(
        "{}.{}",
        encode(&json!({"alg": "HS256", "kid": header["kid"]})),
        encode(&claims)
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
    let mac = ring::hmac::sign(&key, signed.as_bytes());
    refused(
        &fixture,
        &format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.as_ref())),
    );
    // Another cluster's key, with this one's id, with an embedded key, and with a critical extension.
    let other = super::fixture();
    refused(&fixture, &other.token(json!({})));
    let mut embedded = header.clone();
    embedded["jwk"] = jwks["keys"][0].clone();
    refused(
        &fixture,
        &format!("{}.{}.{signature}", encode(&embedded), encode(&claims)),
    );
    embedded = json!({"alg": "ES256", "crit": ["b64"], "b64": false});
    refused(
        &fixture,
        &format!("{}.{}.{signature}", encode(&embedded), encode(&claims)),
    );
}

#[test]
fn tampering() {
    let fixture = fixture();
    let token = fixture.token(json!({}));
    let (header, claims, signature) = parts(&token);
    let mut other = claims.clone();
    other["sub"] = "system:serviceaccount:kube-system:robot".into();
    refused(
        &fixture,
        &format!("{}.{}.{signature}", encode(&header), encode(&other)),
    );
    let mut all: Vec<&str> = token.split('.').collect();
    let padded = format!("{}=", all[2]);
    for signature in ["", "AA", padded.as_str()] {
        all[2] = signature;
        refused(&fixture, &all.join("."));
    }
    // The all-zero signature (CVE-2022-21449).
    all = token.split('.').collect();
    let zero = URL_SAFE_NO_PAD.encode([0; 64]);
    all[2] = &zero;
    refused(&fixture, &all.join("."));
    for wrong in [
        format!("{token}.{token}"),
        format!("{token}."),
        format!(".{token}"),
        token[1..].to_owned(),
    ] {
        refused(&fixture, &wrong);
    }
    refused(&fixture, &"a".repeat(17 * 1024));
    refused(&fixture, &format!("{token}{}", "A".repeat(17 * 1024)));
}

#[test]
fn signed_but_not_a_token() {
    let fixture = fixture();
    let crate_key = {
        let rustls_pki_types::PrivateKeyDer::Pkcs8(der) =
            crate::pki::private_key(&fixture.dir.path().join("sa.key")).unwrap()
        else {
            panic!("PKCS#8")
        };
        crate::auth::jws::Key::new(der.secret_pkcs8_der()).unwrap()
    };
    let (_, claims, _) = parts(&fixture.token(json!({})));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims.clone();
        change(&mut claims);
        crate_key.sign(claims.to_string().as_bytes()).unwrap()
    };
    assert!(fixture.bearer(&with(&|_| {})).is_ok());
    refused(&fixture, &with(&|claims| claims["iss"] = "https://evil".into()));
    refused(&fixture, &with(&|claims| claims["sub"] = "system:admin".into()));
    refused(
        &fixture,
        &with(&|claims| claims["sub"] = "system:serviceaccount:a:other".into()),
    );
    refused(&fixture, &with(&|claims| claims["exp"] = 1.into()));
    refused(&fixture, &with(&|claims| claims["exp"] = "never".into()));
    refused(
        &fixture,
        &with(&|claims| drop(claims.as_object_mut().unwrap().remove("exp"))),
    );
    refused(&fixture, &with(&|claims| claims["aud"] = json!([])));
    refused(&fixture, &with(&|claims| claims["kubernetes.io"] = Value::Null));
    refused(&fixture, &with(&|claims| claims["nbf"] = i64::MAX.into()));
    refused(&fixture, &crate_key.sign(b"not json").unwrap());
}

#[test]
fn legacy_tokens_live_in_their_secret() {
    let fixture = fixture();
    let token = fixture
        .authenticator
        .tokens()
        .issue_legacy("a", "secret", "robot", "sa-uid")
        .unwrap();
    refused(&fixture, &token);
    let secret = |data: &str| {
        json!({
            "metadata": {"namespace": "a", "name": "secret", "uid": "secret-uid"},
            "data": {"token": STANDARD.encode(data)},
        })
    };
    fixture.memory.put(&SECRETS, &secret(&token));
    assert_eq!(
        fixture.bearer(&token).unwrap().name,
        "system:serviceaccount:a:robot"
    );
    fixture.memory.put(&SECRETS, &secret("another"));
    refused(&fixture, &token);
    fixture.memory.put(&SECRETS, &secret(&token));
    fixture.memory.remove(&SERVICE_ACCOUNTS, "a", "robot");
    refused(&fixture, &token);
}

#[tokio::test]
async fn the_use_of_legacy_tokens_is_told() {
    let fixture = fixture();
    let tokens = fixture.authenticator.tokens();
    let token = tokens.issue_legacy("a", "secret", "robot", "sa-uid").unwrap();
    let secret = |labels: Value| {
        json!({
            "metadata": {"namespace": "a", "name": "secret", "uid": "secret-uid", "labels": labels},
            "data": {"token": STANDARD.encode(&token)},
        })
    };
    let own = [tokens.issuer().to_owned()];
    let now = keelson_api::time::parse("2026-11-29T23:59:59Z").unwrap();
    let used = || tokens.user(&token, &own, now);
    fixture.memory.put(&SECRETS, &secret(json!({})));
    // However often it is used: one secret, one day.
    assert!(used().is_ok() && used().is_ok());
    let noted = tokens.uses().next().await;
    assert_eq!(noted.len(), 1);
    assert_eq!(
        (
            noted[0].name.as_str(),
            noted[0].uid.as_str(),
            noted[0].day.as_str()
        ),
        ("secret", "secret-uid", "2026-11-29")
    );
    for day in ["2026-11-29", "2026-11-30"] {
        fixture.memory.put(
            &SECRETS,
            &secret(json!({"kubernetes.io/legacy-token-last-used": day})),
        );
        assert!(used().is_ok());
    }
    // That of another day, and of one that is refused.
    let labels = json!({
        "kubernetes.io/legacy-token-last-used": "2026-11-28", "kubernetes.io/legacy-token-invalid-since": "2026-11-29",
    });
    fixture.memory.put(&SECRETS, &secret(labels));
    let error = used().unwrap_err().to_string();
    assert!(
        error.starts_with(
            "the token in secret a/secret for service account a/robot has been marked invalid. Use tokens from the \
             TokenRequest API"
        ),
        "{error}"
    );
    assert_eq!(tokens.uses().next().await, noted);
}

#[test]
fn tokens_that_were_made_for_the_account_are_advised_against() {
    let fixture = fixture();
    let tokens = fixture.authenticator.tokens();
    let token = tokens.issue_legacy("a", "secret", "robot", "sa-uid").unwrap();
    assert_eq!(tokens.warning(&token), None);
    fixture.memory.put(
        &SERVICE_ACCOUNTS,
        &json!({
            "metadata": {"namespace": "a", "name": "robot", "uid": "sa-uid"}, "secrets": [{"name": "secret"}],
        }),
    );
    assert!(tokens.warning(&token).is_some());
    assert_eq!(tokens.warning(&fixture.token(json!({}))), None);
}

#[test]
fn discovery_documents() {
    let fixture = fixture();
    let key = &fixture.authenticator.jwks()["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"]),
        (&json!("EC"), &json!("P-256"), &json!("ES256"))
    );
    let (header, ..) = parts(&fixture.token(json!({})));
    assert_eq!(header["kid"], key["kid"]);
    let configuration = fixture.authenticator.openid_configuration("https://x:6443");
    assert_eq!(configuration["jwks_uri"], "https://x:6443/openid/v1/jwks");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// No text other than the token itself is accepted, whatever is changed in it.
    #[test]
    fn flipped_bits(at in 0usize..2000, to in any::<char>(), garbage in ".{0,200}") {
        thread_local!(static FIXTURE: (Fixture, String) = {
            let fixture = fixture();
            let token = fixture.token(json!({}));
            (fixture, token)
        });
        FIXTURE.with(|(fixture, token)| {
            let tokens = fixture.authenticator.tokens();
            let own = [tokens.issuer().to_owned()];
            let mut chars: Vec<char> = token.chars().collect();
            let at = at % chars.len();
            prop_assume!(chars[at] != to);
            chars[at] = to;
            let changed: String = chars.into_iter().collect();
            prop_assert!(tokens.user(&changed, &own, keelson_api::time::now()).is_err());
            prop_assert!(tokens.user(&garbage, &own, keelson_api::time::now()).is_err());
            Ok(())
        })?;
    }
}
