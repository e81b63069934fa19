use serde_json::{Value, json};

use super::{OFF, Where, drop_disabled, pod_spec};
use crate::kinds::{builtin, find};

fn without(group: &str, plural: &str, old: Option<&Value>, mut new: Value) -> Value {
    let kind = find(group, "v1", plural)
        .or_else(|| find(group, "v2", plural))
        .unwrap_or_else(|| panic!("{plural}"));
    drop_disabled(kind, old, &mut new);
    new
}

fn spec() -> Value {
    json!({
        "resources": {"limits": {"cpu": "1"}},
        "resourceClaims": [{"name": "r"}],
        "containers": [
            {"name": "a", "resources": {"claims": [{"name": "r"}], "limits": {}}, "lifecycle": {"stopSignal": "SIGUSR1"}},
            {"name": "b", "lifecycle": {"stopSignal": "SIGUSR1", "preStop": {}}},
        ],
        "initContainers": [{"name": "i", "resources": {"claims": []}, "lifecycle": {}}],
        "volumes": [
            {"name": "v", "image": {"reference": "x"}},
            {"name": "p", "projected": {"sources": [{"clusterTrustBundle": {"name": "t"}}, {"secret": {}}]}},
            {"name": "e", "ephemeral": {"volumeClaimTemplate": {"spec": {"volumeAttributesClassName": "c", "x": 1}}}},
        ],
    })
}

fn left() -> Value {
    json!({
        "containers": [
            {"name": "a", "resources": {"limits": {}}},
            {"name": "b", "lifecycle": {"preStop": {}}},
        ],
        "initContainers": [{"name": "i", "resources": {}, "lifecycle": {}}],
        "volumes": [
            {"name": "v"},
            {"name": "p", "projected": {"sources": [{}, {"secret": {}}]}},
            {"name": "e", "ephemeral": {"volumeClaimTemplate": {"spec": {"x": 1}}}},
        ],
    })
}

#[test]
fn what_is_new_loses_fields_of_gates_that_are_off() {
    assert_eq!(
        without("", "pods", None, json!({"spec": spec()})),
        json!({"spec": left()})
    );
    let template = |spec: Value| json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}});
    assert_eq!(
        without("batch", "cronjobs", None, template(spec())),
        template(left())
    );
    for (group, plural, new, left) in [
        (
            "apps",
            "statefulsets",
            json!({"spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 2, "partition": 1}}}}),
            json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}}}),
        ),
        (
            "coordination.k8s.io",
            "leases",
            json!({"spec": {"strategy": "OldestEmulationVersion", "preferredHolder": "a", "holderIdentity": "b"}}),
            json!({"spec": {"holderIdentity": "b"}}),
        ),
        (
            "discovery.k8s.io",
            "endpointslices",
            json!({"endpoints": [{"hints": {"forNodes": [{"name": "n"}], "forZones": []}}]}),
            json!({"endpoints": [{"hints": {"forZones": []}}]}),
        ),
        (
            "",
            "configmaps",
            json!({"data": {"resources": "x"}}),
            json!({"data": {"resources": "x"}}),
        ),
    ] {
        assert_eq!(without(group, plural, None, new), left, "{plural}");
    }
    // What is no object has no fields.
    assert_eq!(
        without("", "pods", None, json!({"spec": "x"})),
        json!({"spec": "x"})
    );
}

#[test]
fn what_has_been_there_stays() {
    let old = json!({"spec": {"volumes": [{"name": "v", "image": {"reference": "x"}}]}});
    let mut expected = left();
    expected["volumes"][0]["image"] = json!({"reference": "x"});
    assert_eq!(
        without("", "pods", Some(&old), json!({"spec": spec()})),
        json!({"spec": expected}),
        "and no more than that"
    );
    let old = json!({"spec": spec()});
    assert_eq!(without("", "pods", Some(&old), old.clone()), old);
    // What says nothing is no use.
    let old = json!({"spec": {"resources": {}}});
    let new = json!({"spec": {"resources": {"limits": {"cpu": "1"}}}});
    assert_eq!(without("", "pods", Some(&old), new), json!({"spec": {}}));
}

#[test]
fn the_table_names_kinds_and_fields_that_are_there() {
    for (gate, place, paths) in OFF {
        let Where::Of(group, plural) = place else {
            continue;
        };
        let kinds: Vec<_> = builtin()
            .iter()
            .filter(|kind| kind.group == *group && kind.plural == *plural)
            .collect();
        assert!(!kinds.is_empty(), "{gate}: {plural}");
        assert!(!paths.is_empty(), "{gate}");
    }
    let pods = builtin().iter().filter(|kind| pod_spec(kind).is_some());
    assert_eq!(pods.count(), 9);
}
