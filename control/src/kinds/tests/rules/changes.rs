//! Changes: what may be said later, what a typed client leaves out, and what goes with a Service's type.

use super::pods::pod;
use super::{Value, changed, find, json, new};

/// A Service after a change of its spec, prepared and checked.
fn service(old: &Value, change: &Value) -> Result<Value, Vec<String>> {
    let kind = find("", "v1", "services").unwrap();
    let mut old = json!({"metadata": {"name": "s"}, "spec": old, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}});
    crate::kinds::default(kind, &mut old);
    let mut new = old.clone();
    for (field, value) in change.as_object().unwrap() {
        if value.is_null() {
            new["spec"].as_object_mut().unwrap().remove(field);
        } else {
            new["spec"][field] = value.clone();
        }
    }
    crate::kinds::default(kind, &mut new);
    kind.strategy.prepare_update(None, &old, &mut new);
    let errors = kind.strategy.validate_update(None, &old, &new);
    if errors.is_empty() {
        Ok(new)
    } else {
        Err(errors.iter().map(ToString::to_string).collect())
    }
}

fn of(kind: &str, more: &Value) -> Value {
    let mut spec =
        json!({"type": kind, "clusterIP": "10.43.0.9", "clusterIPs": ["10.43.0.9"], "ports": [{"port": 80}]});
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    spec
}

#[test]
fn what_is_for_traffic_from_outside_goes_with_the_type() {
    let outside = json!({"externalTrafficPolicy": "Local"});
    for kind in ["NodePort", "LoadBalancer"] {
        let inner = service(&of(kind, &outside), &json!({"type": "ClusterIP"})).unwrap();
        assert_eq!(inner["spec"].get("externalTrafficPolicy"), None, "{kind}");
        assert_eq!(inner["status"]["loadBalancer"], json!({}), "{kind}");
        // Addresses from outside lead to it all the same.
        let reached = json!({"type": "ClusterIP", "externalIPs": ["192.0.2.7"]});
        let reached = service(&of(kind, &outside), &reached).unwrap();
        assert_eq!(reached["spec"]["externalTrafficPolicy"], "Local", "{kind}");
    }
    // When the last such address goes, what was for it goes too.
    let reached = of(
        "ClusterIP",
        &json!({"externalIPs": ["192.0.2.7"], "externalTrafficPolicy": "Local"}),
    );
    let inner = service(&reached, &json!({"externalIPs": null})).unwrap();
    assert_eq!(inner["spec"].get("externalTrafficPolicy"), None);
    // Between the two types from outside it stays.
    let other = service(&of("LoadBalancer", &outside), &json!({"type": "NodePort"})).unwrap();
    assert_eq!(other["spec"]["externalTrafficPolicy"], "Local");
}

#[test]
fn what_only_balancers_have_goes_unless_it_is_set_anew() {
    let balanced = || {
        of(
            "LoadBalancer",
            &json!({"loadBalancerClass": "example.com/a", "allocateLoadBalancerNodePorts": false,
                "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001}),
        )
    };
    for kind in ["ClusterIP", "NodePort"] {
        let changed = service(&balanced(), &json!({"type": kind})).unwrap();
        for field in [
            "loadBalancerClass",
            "allocateLoadBalancerNodePorts",
            "healthCheckNodePort",
        ] {
            assert_eq!(changed["spec"].get(field), None, "{kind}");
        }
    }
    let kept = service(&balanced(), &json!({"ports": [{"port": 81}]})).unwrap();
    assert_eq!(kept["spec"]["loadBalancerClass"], "example.com/a");
    assert_eq!(kept["status"]["loadBalancer"]["ingress"][0]["ip"], "192.0.2.1");
    assert_eq!(
        service(
            &balanced(),
            &json!({"type": "ClusterIP", "loadBalancerClass": "example.com/b"})
        )
        .unwrap_err()
        .iter()
        .filter(|error| error.starts_with("spec.loadBalancerClass"))
        .collect::<Vec<_>>(),
        ["spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"]
    );
}

#[test]
fn affinity_is_given_up_with_its_settings() {
    let sticky = of(
        "ClusterIP",
        &json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 100}}}),
    );
    let loose = service(&sticky, &json!({"sessionAffinity": "None"})).unwrap();
    assert_eq!(loose["spec"].get("sessionAffinityConfig"), None);
    let same = service(&sticky, &json!({"ports": [{"port": 81}]})).unwrap();
    assert_eq!(
        same["spec"]["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"],
        100
    );
}

fn volume(spec: &Value, change: impl Fn(&mut Value)) -> Vec<String> {
    let mut all = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]});
    for (field, value) in spec.as_object().unwrap() {
        all[field] = value.clone();
    }
    changed(
        "",
        "persistentvolumes",
        json!({"metadata": {"name": "v"}, "spec": all}),
        change,
    )
}

#[test]
fn volumes_keep_their_source() {
    let immutable =
        "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n";
    let csi = json!({"csi": {"driver": "d", "volumeHandle": "h", "readOnly": false}});
    let secret = |name: &str| json!({"name": name, "namespace": "n"});
    // The secret for expansion may come later, once.
    assert!(
        volume(&csi, |new| new["spec"]["csi"]["controllerExpandSecretRef"] =
            secret("a"))
        .is_empty()
    );
    let mut with = csi.clone();
    with["csi"]["controllerExpandSecretRef"] = secret("a");
    assert_eq!(
        volume(&with, |new| new["spec"]["csi"]["controllerExpandSecretRef"] =
            secret("b")),
        [immutable]
    );
    assert_eq!(
        volume(&csi, |new| {
            new["spec"]["csi"]["controllerExpandSecretRef"] = secret("a");
            new["spec"]["csi"]["volumeHandle"] = "other".into();
        }),
        [immutable]
    );
    // What is zero is the same as nothing.
    assert!(
        volume(&csi, |new| {
            new["spec"]["csi"].as_object_mut().unwrap().remove("readOnly");
            new["spec"]["csi"]["fsType"] = "".into();
        })
        .is_empty()
    );
    assert_eq!(
        volume(&csi, |new| new["spec"]["csi"]["readOnly"] = true.into()),
        [immutable]
    );
}

#[test]
fn a_volume_says_once_where_its_data_is() {
    let nfs = json!({"nfs": {"server": "s", "path": "/p"}});
    let near = |zone: &str| json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "z", "operator": "In", "values": [zone]}]}]}});
    assert!(volume(&nfs, |new| new["spec"]["nodeAffinity"] = near("a")).is_empty());
    let mut placed = nfs.clone();
    placed["nodeAffinity"] = near("a");
    let moved = volume(&placed, |new| new["spec"]["nodeAffinity"] = near("b"));
    assert_eq!(moved.len(), 1);
    assert!(
        moved[0].starts_with("nodeAffinity: Invalid value: ")
            && moved[0].ends_with("field is immutable, except for updating from beta label to GA"),
        "{moved:?}"
    );
    let key = |volume: &mut Value, key: &str| {
        volume["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["key"] = key.into();
    };
    let (zone, beta) = (
        "topology.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/zone",
    );
    for (was, is, good) in [(beta, zone, true), (zone, beta, false), (beta, "z", false)] {
        let mut placed = placed.clone();
        key(&mut placed["nodeAffinity"], was);
        let renamed = volume(&placed, |new| key(&mut new["spec"]["nodeAffinity"], is));
        assert_eq!(renamed.is_empty(), good, "{was} {is}: {renamed:?}");
    }
    let raw = volume(&nfs, |new| new["spec"]["volumeMode"] = "Block".into());
    assert_eq!(raw, ["volumeMode: Invalid value: \"Block\": field is immutable"]);
}

#[test]
fn events_of_the_new_kind_keep_what_they_say() {
    let event = json!({
        "metadata": {"name": "e", "namespace": "default"},
        "regarding": {"kind": "Pod", "namespace": "default", "name": "p"},
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "example.com/c", "reportingInstance": "i",
        "action": "A", "reason": "R", "type": "Normal", "note": "n", "deprecatedCount": 0,
    });
    let change = |change: &dyn Fn(&mut Value)| changed("events.k8s.io", "events", event.clone(), change);
    // A client with types does not write a zero, and adds an empty object.
    assert!(
        change(&|new| {
            new.as_object_mut().unwrap().remove("deprecatedCount");
            new["related"] = json!({});
        })
        .is_empty()
    );
    assert_eq!(
        change(&|new| new["note"] = "other".into()),
        ["message: Invalid value: \"other\": field is immutable"]
    );
    let errors = change(&|new| new["deprecatedCount"] = 3.into());
    assert_eq!(errors, ["count: Invalid value: 3: field is immutable"]);
    assert!(
        change(&|new| new["series"] = json!({"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}))
            .is_empty()
    );
}

#[test]
fn profiles_of_programs_are_names() {
    let profile = |name: &str| {
        pod(&json!({"securityContext": {"appArmorProfile": {"type": "Localhost", "localhostProfile": name}}}))
    };
    let path = "spec.securityContext.appArmorProfile.localhostProfile";
    assert!(profile("/usr/sbin/nginx").is_empty());
    assert_eq!(
        profile(" nginx"),
        [format!(
            "{path}: Invalid value: \" nginx\": must not be padded with whitespace"
        )]
    );
    assert!(profile(&"x".repeat(4095)).is_empty());
    assert_eq!(
        profile(&"x".repeat(4096)),
        [format!("{path}: Too long: may not be more than 4095 bytes")]
    );
}

#[test]
fn a_port_of_zero_is_none() {
    let ingress = |port: Value| {
        let backend = json!({"service": {"name": "s", "port": port}});
        new(
            "networking.k8s.io",
            "ingresses",
            json!({"metadata": {"name": "i"}, "spec": {"defaultBackend": backend}}),
        )
    };
    assert!(ingress(json!({"name": "web", "number": 0})).is_empty());
    assert!(ingress(json!({"number": 80})).is_empty());
    assert_eq!(
        ingress(json!({"name": "Bad_", "number": -1})),
        ["spec.defaultBackend: Invalid value: \"\": cannot set both port name & port number"]
    );
    assert_eq!(
        ingress(json!({"number": 0})),
        ["spec.defaultBackend: Required value: port name or number is required"]
    );
}

#[test]
fn rules_of_webhooks_say_nothing_twice() {
    let rule = |resources: &[&str]| {
        let hook = json!({"name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://example.com/x"},
            "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": resources}]});
        new(
            "admissionregistration.k8s.io",
            "validatingwebhookconfigurations",
            json!({"metadata": {"name": "h"}, "webhooks": [hook]}),
        )
    };
    let path = "webhooks[0].rules[0].resources";
    assert!(
        rule(&["pods/status", "pods/*"]).is_empty(),
        "upstream looks at what came before"
    );
    assert_eq!(
        rule(&["pods/*", "pods/status"]),
        [format!(
            "{path}[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not specify pods/status"
        )]
    );
    assert_eq!(
        rule(&["*/status", "pods/status"]),
        [format!(
            "{path}[1]: Invalid value: \"pods/status\": if '*/status' is present, must not specify pods/status"
        )]
    );
}

#[test]
fn annotations_are_work_for_a_deployment() {
    let kind = find("apps", "v1", "deployments").unwrap();
    let old = json!({"metadata": {"name": "d", "generation": 3}, "spec": {"replicas": 1}});
    let generation = |subresource: Option<&str>, change: &dyn Fn(&mut Value)| {
        let mut new = old.clone();
        change(&mut new);
        kind.strategy.prepare_update(subresource, &old, &mut new);
        new["metadata"]["generation"].clone()
    };
    let annotate = |new: &mut Value| new["metadata"]["annotations"] = json!({"a": "b"});
    assert_eq!(generation(None, &annotate), 4);
    assert_eq!(
        generation(None, &|new| new["metadata"]["labels"] = json!({"a": "b"})),
        3
    );
    assert_eq!(generation(Some("status"), &annotate), 3);
    let both = |new: &mut Value| {
        annotate(new);
        new["spec"]["replicas"] = 2.into();
    };
    assert_eq!(generation(None, &both), 4);
}
