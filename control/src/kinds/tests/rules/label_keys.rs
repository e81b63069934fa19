//! `matchLabelKeys` and `mismatchLabelKeys` of pods.

use super::*;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// A new pod as it is stored, and the complaints about it.
fn made(affinity: Value, constraints: Value) -> (Value, Vec<String>) {
    let kind = find("", "v1", "pods").unwrap();
    let mut pod = json!({"metadata": {"name": "p", "labels": {"hash": "1", "tenant": "a"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    pod["spec"]["affinity"] = affinity;
    pod["spec"]["topologySpreadConstraints"] = constraints;
    crate::kinds::default(kind, &mut pod);
    kind.strategy.prepare_create(&mut pod);
    let errors = kind.strategy.validate_create(&pod);
    let errors = errors.iter().map(ToString::to_string).collect();
    (pod, errors)
}

#[test]
fn keys_of_affinities_become_part_of_the_selector() {
    let term = json!({"topologyKey": "zone", "matchLabelKeys": ["hash", "missing"], "mismatchLabelKeys": ["tenant"],
        "labelSelector": {"matchLabels": {"app": "web"}}});
    let (pod, errors) = made(
        json!({
            "podAffinity": {REQUIRED: [term]},
            "podAntiAffinity": {PREFERRED: [{"weight": 1, "podAffinityTerm": term}]},
        }),
        json!([]),
    );
    assert_eq!(errors, Vec::<String>::new());
    let mut merged = term.clone();
    merged["labelSelector"]["matchExpressions"] = json!([
        {"key": "hash", "operator": "In", "values": ["1"]},
        {"key": "tenant", "operator": "NotIn", "values": ["a"]},
    ]);
    let affinity = &pod["spec"]["affinity"];
    assert_eq!(affinity["podAffinity"][REQUIRED][0], merged);
    assert_eq!(
        affinity["podAntiAffinity"][PREFERRED][0]["podAffinityTerm"],
        merged
    );
}

#[test]
fn keys_that_come_often_do_not_multiply_what_the_pod_has() {
    let term = |keys: Vec<&str>| json!({"podAffinity": {REQUIRED: [{"topologyKey": "zone", "labelSelector": {}, "matchLabelKeys": keys}]}});
    let (pod, errors) = made(term(vec!["hash"; 100_000]), json!([]));
    let affinity = &pod["spec"]["affinity"]["podAffinity"][REQUIRED][0];
    assert_eq!(
        affinity["labelSelector"]["matchExpressions"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert!(!errors.is_empty());
    let kind = find("", "v1", "pods").unwrap();
    let mut pod =
        json!({"metadata": {"labels": {"a": "x".repeat(1 << 20)}}, "spec": {"affinity": term(vec!["a"])}});
    kind.strategy.prepare_create(&mut pod);
    let affinity = &pod["spec"]["affinity"]["podAffinity"][REQUIRED][0];
    assert_eq!(affinity["labelSelector"], json!({}));
}

#[test]
fn keys_of_affinities_are_checked() {
    let check = |term: Value| {
        let mut term = term;
        term["topologyKey"] = json!("zone");
        made(json!({"podAffinity": {REQUIRED: [term]}}), json!([])).1
    };
    let at = format!("spec.affinity.podAffinity.{REQUIRED}[0]");
    let unset = "Forbidden: must not be specified when labelSelector is not set";
    assert_eq!(
        check(json!({"matchLabelKeys": ["hash"], "mismatchLabelKeys": ["tenant"]})),
        [
            format!("{at}.matchLabelKeys: {unset}"),
            format!("{at}.mismatchLabelKeys: {unset}")
        ]
    );
    let selector = json!({"matchLabels": {"hash": "1"}});
    assert_eq!(
        check(json!({"labelSelector": selector, "matchLabelKeys": ["tenant", "hash"]})),
        [format!(
            "{at}[1]: Invalid value: \"hash\": exists in both matchLabelKeys and labelSelector"
        )]
    );
    assert_eq!(
        check(json!({"labelSelector": {}, "matchLabelKeys": ["x"], "mismatchLabelKeys": ["x"]})),
        [format!(
            "{at}.matchLabelKeys[0]: Invalid value: \"x\": exists in both matchLabelKeys and mismatchLabelKeys"
        )]
    );
    let errors = check(json!({"labelSelector": {}, "mismatchLabelKeys": ["/x"]}));
    assert!(
        errors[0].starts_with(&format!("{at}.mismatchLabelKeys[0]: Invalid value: \"/x\"")),
        "{errors:?}"
    );
}

#[test]
fn keys_of_spread_constraints_are_checked() {
    let check = |constraint: Value| {
        let mut constraint = constraint;
        for (field, value) in [
            ("maxSkew", json!(1)),
            ("topologyKey", json!("zone")),
            ("whenUnsatisfiable", json!("DoNotSchedule")),
        ] {
            constraint[field] = value;
        }
        made(json!({}), json!([constraint]))
    };
    let at = "spec.topologySpreadConstraints[0].matchLabelKeys";
    let selector = json!({"matchLabels": {"app": "web"}});
    let (pod, errors) = check(json!({"labelSelector": selector, "matchLabelKeys": ["hash"]}));
    assert_eq!(errors, Vec::<String>::new());
    // The scheduler adds these itself.
    assert_eq!(
        pod["spec"]["topologySpreadConstraints"][0]["labelSelector"],
        selector
    );
    assert_eq!(
        check(json!({"matchLabelKeys": ["hash"]})).1,
        [format!(
            "{at}: Forbidden: must not be specified when labelSelector is not set"
        )]
    );
    assert_eq!(
        check(json!({"labelSelector": selector, "matchLabelKeys": ["app"]})).1,
        [format!(
            "{at}[0]: Invalid value: \"app\": exists in both matchLabelKeys and labelSelector"
        )]
    );
    let (_, errors) = check(json!({"labelSelector": selector, "matchLabelKeys": ["/x"]}));
    assert!(
        errors[0].starts_with(&format!("{at}[0]: Invalid value: \"/x\"")),
        "{errors:?}"
    );
}
