//! Approval and status of CertificateSigningRequests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn condition(kind: &str, reason: &str) -> Value {
    json!({"type": kind, "status": "True", "reason": reason, "lastTransitionTime": "2020-01-01T00:00:00Z"})
}

/// What is stored of a change through a subresource, or the complaints about it.
fn written(part: &str, old: &Value, status: Value) -> Result<Value, Vec<String>> {
    let kind = find("certificates.k8s.io", "v1", "certificatesigningrequests").unwrap();
    let mut new = old.clone();
    new["status"] = status;
    kind.strategy.prepare_update(Some(part), old, &mut new);
    let errors = kind.strategy.validate_update(Some(part), old, &new);
    if errors.is_empty() {
        Ok(new["status"].clone())
    } else {
        Err(errors.iter().map(ToString::to_string).collect())
    }
}

#[test]
fn who_signs_does_not_approve() {
    let bare = json!({"metadata": {"name": "r"}, "status": {}});
    let approved = json!({"metadata": {"name": "r"}, "status": {"conditions": [condition("Approved", "a")]}});
    let told = |why: &str| {
        Err(vec![format!(
            "status.conditions: Forbidden: updates may not {why}"
        )])
    };
    for (old, conditions, expected) in [
        (
            &bare,
            json!([condition("Approved", "b")]),
            told("add a condition of type \"Approved\""),
        ),
        (
            &approved,
            json!([]),
            told("remove a condition of type \"Approved\""),
        ),
    ] {
        assert_eq!(
            written("status", old, json!({"conditions": conditions})),
            expected
        );
    }
    let kept = written(
        "status",
        &approved,
        json!({"conditions": [condition("Other", "o"), condition("Approved", "b")]}),
    );
    let kept = kept.unwrap();
    assert_eq!(kept["conditions"][1]["reason"], "a");
    assert_eq!(kept["conditions"][0]["reason"], "o");
    assert_eq!(
        written(
            "approval",
            &approved,
            json!({"conditions": [condition("Approved", "a"), condition("Denied", "b")]})
        ),
        Err(vec![
            "status.conditions[1].type: Invalid value: \"Denied\": Approved and Denied conditions are mutually exclusive"
                .to_owned()
        ])
    );
}

#[test]
fn what_stays_true_keeps_its_time() {
    let old = json!({"metadata": {"name": "r"}, "status": {"conditions": [condition("Other", "a")]}});
    let undated = json!({"conditions": [{"type": "Other", "status": "True", "reason": "b"}, {"type": "New", "status": "True"}]});
    let new = written("status", &old, undated).unwrap();
    assert_eq!(new["conditions"][0]["lastTransitionTime"], "2020-01-01T00:00:00Z");
    assert_ne!(new["conditions"][0]["lastUpdateTime"], "2020-01-01T00:00:00Z");
    assert_ne!(new["conditions"][1]["lastTransitionTime"], "2020-01-01T00:00:00Z");
    assert!(new["conditions"][1]["lastTransitionTime"].is_string());
}

#[test]
fn the_first_time_of_a_condition_counts() {
    let mut undated = condition("Other", "a");
    undated["lastTransitionTime"] = "".into();
    let mut later = condition("Other", "a");
    later["lastTransitionTime"] = "2021-01-01T00:00:00Z".into();
    let conditions = json!([undated, condition("Other", "a"), later]);
    let old = json!({"metadata": {"name": "r"}, "status": {"conditions": conditions}});
    let is = |status: &str| {
        let new = json!({"conditions": [{"type": "Other", "status": status}]});
        let new = written("status", &old, new).unwrap();
        new["conditions"][0]["lastTransitionTime"].clone()
    };
    assert_eq!(is("True"), "2020-01-01T00:00:00Z");
    assert!(
        is("False")
            .as_str()
            .is_some_and(|time| time > "2021-01-01T00:00:00Z")
    );
    let many = vec![json!({}); 3000];
    let told = written("status", &old, json!({"conditions": many})).unwrap_err();
    assert!((1000..1010).contains(&told.len()), "{}", told.len());
}

#[test]
fn certificates_are_certificates() {
    let key = rcgen::KeyPair::generate().unwrap();
    let good = rcgen::CertificateParams::default()
        .self_signed(&key)
        .unwrap()
        .pem();
    let old = json!({"metadata": {"name": "r"}, "status": {}});
    let issue = |pem: &str| written("status", &old, json!({"certificate": STANDARD.encode(pem)}));
    assert!(issue(&good).is_ok());
    assert!(issue(&format!("{good}{good}")).is_ok());
    let renamed = good.replace("CERTIFICATE", "X");
    for (pem, why) in [
        ("x", "must contain at least one CERTIFICATE PEM block"),
        (
            renamed.as_str(),
            "only CERTIFICATE PEM blocks are allowed, found \"X\"",
        ),
        (
            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
            "found CERTIFICATE PEM block containing 0 certificates",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "x509: malformed certificate",
        ),
    ] {
        let errors = issue(pem).unwrap_err();
        let told = format!("status.certificate: Invalid value: \"<certificate data>\": {why}");
        assert!(errors.len() == 1 && errors[0].starts_with(&told), "{errors:?}");
    }
}
