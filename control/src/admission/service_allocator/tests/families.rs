//! What clients leave out of addresses and families, and what they may not ask for.

use super::*;

fn spec(name: &str, more: &Value) -> Value {
    let mut service = web(name, "ClusterIP");
    for (field, value) in more.as_object().unwrap() {
        service["spec"][field] = value.clone();
    }
    service
}

#[test]
fn clients_that_know_only_one_address() {
    let fixture = usual();
    let old = fixture
        .store(None, spec("w", &json!({"clusterIP": "10.43.0.9"})))
        .unwrap();
    assert_eq!(old["spec"]["clusterIPs"], json!(["10.43.0.9"]));
    // They send the whole object back without the fields that they do not know.
    let again = fixture
        .store(Some(&old), spec("w", &json!({"clusterIP": "10.43.0.9"})))
        .unwrap();
    assert_eq!(again["spec"], old["spec"]);
    let unset = fixture
        .store(Some(&old), spec("w", &json!({"clusterIP": ""})))
        .unwrap();
    assert_eq!(unset["spec"], old["spec"]);
    // A patch that changes only what it knows.
    let mut patched = old.clone();
    patched["spec"]["clusterIP"] = "10.43.0.10".into();
    assert_eq!(
        fixture.store(Some(&old), patched).unwrap_err(),
        "Service \"w\" is invalid: spec.clusterIPs[0]: Invalid value: [\"10.43.0.10\"]: may not change once set"
    );
    let mut headless = old.clone();
    headless["spec"]["clusterIP"] = "None".into();
    assert!(
        fixture
            .store(Some(&old), headless)
            .unwrap_err()
            .contains("may not change once set")
    );
}

#[test]
fn what_a_client_may_not_ask_for() {
    let fixture = usual();
    for (wrong, why) in [
        (
            json!({"clusterIP": "10.43.0.1", "clusterIPs": ["10.43.7.7"]}),
            "first value must match `clusterIP`",
        ),
        (
            json!({"clusterIP": "None", "clusterIPs": ["10.43.0.1"]}),
            "first value must match `clusterIP`",
        ),
        (
            json!({"clusterIPs": ["10.43.0.1"]}),
            "must be empty when `clusterIP` is not specified",
        ),
        (json!({"ipFamilies": ["IPv4", "IPv4"]}), "Duplicate value"),
        (json!({"ipFamilyPolicy": "Foo"}), "Unsupported value"),
        (
            json!({"clusterIP": "fd00::1"}),
            "spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster",
        ),
    ] {
        let error = fixture.store(None, spec("w", &wrong)).unwrap_err();
        assert!(error.contains(why), "{wrong}: {error}");
    }
    // Nothing of it is held.
    for address in ["10.43.0.1", "10.43.7.7"] {
        fixture
            .store(None, spec(address, &json!({"clusterIP": address})))
            .unwrap();
    }
}

#[test]
fn a_change_that_is_refused_frees_nothing_of_others() {
    let fixture = usual();
    let old = fixture.store(None, web("w", "ClusterIP")).unwrap();
    let flying = spec("f", &json!({"clusterIP": "10.43.2.2"}));
    fixture.run(None, flying.clone(), false, false).unwrap();
    let mut thief = old.clone();
    thief["spec"]["clusterIP"] = "10.43.2.2".into();
    thief["spec"]["clusterIPs"] = json!(["10.43.2.2"]);
    fixture.run(Some(&old), thief, true, false).unwrap_err();
    assert!(fixture.run(None, flying, false, false).is_err(), "still reserved");
}

#[test]
fn families_come_and_go_as_the_policy_says() {
    let fixture = fixture(&["10.43.0.0/16", "fd43::/112"], (30000, 32767));
    let both = json!(["IPv4", "IPv6"]);
    assert!(
        fixture
            .store(None, spec("w", &json!({"ipFamilies": both})))
            .unwrap_err()
            .contains(
                "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"
            )
    );
    let dual = fixture
        .store(
            None,
            spec(
                "w",
                &json!({"ipFamilies": both, "ipFamilyPolicy": "RequireDualStack"}),
            ),
        )
        .unwrap();
    // Without a policy it is the one from before, which does not let the second go.
    let first = dual["spec"]["clusterIP"].clone();
    let less = spec(
        "w",
        &json!({"clusterIP": first, "clusterIPs": [first], "ipFamilies": ["IPv4"]}),
    );
    assert!(
        fixture
            .store(Some(&dual), less.clone())
            .unwrap_err()
            .contains("must be 'SingleStack' to release the secondary cluster IP")
    );
    let mut single = less;
    single["spec"]["ipFamilyPolicy"] = "SingleStack".into();
    let single = fixture.store(Some(&dual), single).unwrap();
    assert_eq!(single["spec"]["clusterIPs"], json!([first]));
    // And back, with another second address.
    let mut prefers = single.clone();
    prefers["spec"]["ipFamilyPolicy"] = "PreferDualStack".into();
    let prefers = fixture.store(Some(&single), prefers).unwrap();
    assert_eq!(
        (&prefers["spec"]["ipFamilies"], &prefers["spec"]["clusterIP"]),
        (&both, &first)
    );
    let mut swapped = prefers.clone();
    swapped["spec"]["clusterIP"] = prefers["spec"]["clusterIPs"][1].clone();
    swapped["spec"]["clusterIPs"] = json!([prefers["spec"]["clusterIPs"][1], first]);
    swapped["spec"]["ipFamilies"] = json!(["IPv6", "IPv4"]);
    assert!(
        fixture
            .store(Some(&prefers), swapped)
            .unwrap_err()
            .contains("may not change once set")
    );
}

#[test]
fn addresses_stay_as_they_were_written() {
    let fixture = fixture(&["fd43::/112"], (30000, 32767));
    let made = fixture
        .store(None, spec("w", &json!({"clusterIP": "FD43::5"})))
        .unwrap();
    assert_eq!(
        (&made["spec"]["clusterIP"], &made["spec"]["clusterIPs"]),
        (&json!("FD43::5"), &json!(["FD43::5"]))
    );
    assert!(
        fixture
            .store(None, spec("x", &json!({"clusterIP": "fd43::5"})))
            .is_err()
    );
}
