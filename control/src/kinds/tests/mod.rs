//! Tests of the whole table.

mod rows;
mod rules;

use serde_json::{Value, json};

use super::metadata::validate_metadata_update;
use super::{builtin, find, validate_metadata};

#[test]
fn no_strategy_panics_on_odd_objects() {
    let odd = [
        json!(null),
        json!([]),
        json!({"metadata": [], "spec": 1, "status": "x"}),
        json!({"spec": {"template": [], "containers": {}, "ports": [1], "strategy": 1, "selector": []}, "data": [1]}),
        json!({"spec": {"containers": [1, {"resources": 1, "ports": [{}], "env": [{}], "livenessProbe": 1}],
               "volumes": [{}, 1, {"projected": {"sources": [{}]}}], "tolerations": [{}]}, "subsets": [{}], "rules": [{}]}),
    ];
    for kind in builtin() {
        for object in &odd {
            let strategy = &kind.strategy;
            let mut new = object.clone();
            strategy.default(&mut new);
            if new.is_object() {
                let mut created = new.clone();
                strategy.prepare_create(&mut created);
                let mut updated = new.clone();
                strategy.prepare_update(None, &created, &mut updated);
                strategy.prepare_update(Some("status"), &created, &mut updated);
            }
            strategy.validate_create(&new);
            strategy.validate_update(None, object, &new);
            strategy.validate_update(Some("status"), object, &new);
            strategy.row(&new, 0);
            strategy.selectable_fields(&new);
            strategy.default_grace(&new);
            strategy.scale(&new);
            validate_metadata(kind, &new);
        }
    }
}

#[test]
fn names_are_unique() {
    let mut seen = std::collections::BTreeSet::new();
    for kind in builtin() {
        assert!(
            seen.insert((kind.group.clone(), kind.version.clone(), kind.plural.clone())),
            "{}",
            kind.plural
        );
    }
}

#[test]
fn metadata_is_checked_as_upstream() {
    let check = |plural: &str, metadata: Value| -> Vec<String> {
        let kind = find("", "v1", plural)
            .or_else(|| find("rbac.authorization.k8s.io", "v1", plural))
            .unwrap();
        validate_metadata(kind, &json!({"metadata": metadata}))
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert!(check("pods", json!({"name": "a.b", "namespace": "x"})).is_empty());
    assert!(check("clusterroles", json!({"name": "system:node"})).is_empty());
    assert_eq!(
        check("namespaces", json!({"name": "a.b"})),
        ["metadata.name: Invalid value: \"a.b\": must not contain dots"]
    );
    assert_eq!(
        check("pods", json!({"namespace": "x"})),
        ["metadata.name: Required value: name or generateName is required"]
    );
    assert!(check("services", json!({"name": "1a", "namespace": "x"}))[0].contains("a DNS-1035 label must"));
    assert_eq!(
        check(
            "pods",
            json!({"name": "a", "namespace": "x", "finalizers": ["f"]})
        ),
        [
            "metadata.finalizers[0]: Invalid value: \"f\": name is neither a standard finalizer name nor is it fully qualified"
        ]
    );
    // Other servers of upstream's take any.
    let service = find("apiregistration.k8s.io", "v1", "apiservices").unwrap();
    let metadata = json!({"metadata": {"name": "v1.a.b", "finalizers": ["f"]}});
    assert!(validate_metadata(service, &metadata).is_empty());
    assert!(
        check(
            "pods",
            json!({"name": "a", "namespace": "x", "labels": {"a": "b c"}})
        )[0]
        .starts_with("metadata.labels: Invalid value: \"b c\": a valid label must be")
    );
}

#[test]
fn requests_and_old_events_are_called_anything() {
    let named = |group: &str, plural: &str, name: &str| {
        let kind = find(group, "v1", plural).unwrap();
        let metadata = if kind.namespaced {
            json!({"name": name, "namespace": "x"})
        } else {
            json!({"name": name})
        };
        validate_metadata(kind, &json!({"metadata": metadata})).len()
    };
    for (group, plural) in [
        ("certificates.k8s.io", "certificatesigningrequests"),
        ("", "events"),
    ] {
        assert_eq!(named(group, plural, "system:node: A_b"), 0, "{plural}");
        assert_eq!(named(group, plural, "a/b"), 1, "{plural}");
    }
    assert_eq!(named("", "pods", "A_b"), 1);
}

#[test]
fn metadata_that_never_changes() {
    let old = json!({"metadata": {"name": "a", "namespace": "x", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": "2026-01-02T00:00:00Z", "finalizers": ["a/b", "a/c"]}});
    let changed = |change: &dyn Fn(&mut Value)| -> Vec<String> {
        let mut new = old.clone();
        change(&mut new["metadata"]);
        let errors = validate_metadata_update(&old, &new);
        errors.iter().map(ToString::to_string).collect()
    };
    assert!(changed(&|metadata| metadata["finalizers"] = json!(["a/c"])).is_empty());
    assert_eq!(
        changed(&|metadata| metadata["finalizers"] = json!(["x/z", "a/b", "x/y", "x/z"])),
        [
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new \
             finalizers []string{\"x/y\", \"x/z\"}"
        ]
    );
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        assert_eq!(
            changed(&|metadata| metadata[field] = "z".into()),
            [format!(
                "metadata.{field}: Invalid value: \"z\": field is immutable"
            )]
        );
    }
    // Only a delete says that an object is deleted.
    let mut alive = old.clone();
    alive["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("deletionTimestamp");
    let errors: Vec<String> = validate_metadata_update(&alive, &old)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        errors,
        ["metadata.deletionTimestamp: Invalid value: 2026-01-02 00:00:00 +0000 UTC: field is immutable"]
    );
}

#[test]
fn workload_errors_read_as_upstream() {
    let strategy = &find("apps", "v1", "deployments").unwrap().strategy;
    let mut object = json!({"kind": "Deployment", "spec": {"replicas": -1, "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "y"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    strategy.default(&mut object);
    let errors: Vec<String> = strategy
        .validate_create(&object)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        errors,
        [
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            "spec.template.metadata.labels: Invalid value: map[string]string{\"app\":\"y\"}: `selector` does not match template `labels`"
        ]
    );
    let mut old = object.clone();
    old["spec"]["selector"] = json!({"matchLabels": {"app": "z"}});
    let errors = strategy.validate_update(None, &old, &object);
    assert_eq!(
        errors.last().unwrap().to_string(),
        "spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{\"app\":\"x\"}, \
         MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable"
    );
}

#[test]
fn generation_follows_the_spec() {
    let strategy = &find("apps", "v1", "deployments").unwrap().strategy;
    let mut object = json!({"metadata": {"name": "d"}, "spec": {}, "status": {"replicas": 7}});
    strategy.default(&mut object);
    strategy.prepare_create(&mut object);
    assert_eq!(
        (&object["metadata"]["generation"], &object["status"]),
        (&json!(1), &json!({}))
    );
    let mut new = object.clone();
    new["status"] = json!({"replicas": 9});
    strategy.prepare_update(None, &object, &mut new);
    assert_eq!(new, object);
    new["spec"]["replicas"] = json!(4);
    strategy.prepare_update(None, &object, &mut new);
    assert_eq!(new["metadata"]["generation"], 2);
    let mut status = object.clone();
    status["spec"]["replicas"] = json!(9);
    status["status"] = json!({"replicas": 9});
    strategy.prepare_update(Some("status"), &object, &mut status);
    assert_eq!(
        (&status["spec"], &status["status"]),
        (&object["spec"], &json!({"replicas": 9}))
    );
    assert_eq!(status["metadata"]["generation"], 1);
}

#[test]
fn events_have_two_forms() {
    let strategy = &find("events.k8s.io", "v1", "events").unwrap().strategy;
    let new = json!({"apiVersion": "events.k8s.io/v1", "metadata": {"name": "e"}, "regarding": {"kind": "Pod"}, "note": "n",
        "eventTime": "1970-01-01T00:00:00.000000Z", "reportingController": "c", "deprecatedCount": 1});
    let mut stored = new.clone();
    strategy.to_storage(&mut stored);
    assert_eq!(
        stored,
        json!({"apiVersion": "v1", "metadata": {"name": "e"}, "involvedObject": {"kind": "Pod"}, "message": "n",
            "eventTime": "1970-01-01T00:00:00.000000Z", "reportingComponent": "c", "count": 1})
    );
    strategy.from_storage(&mut stored);
    assert_eq!(stored, new);
}

#[test]
fn every_stored_kind_has_a_schema() {
    let schema = keelson_api::schema::Schema::builtin();
    for kind in builtin() {
        assert!(
            schema.kind(&kind.group, &kind.version, &kind.kind).is_some(),
            "{}",
            kind.plural
        );
    }
}

#[test]
fn defaults_keep_to_the_schema() {
    // A default that misspells a field would be pruned when the object is written again.
    let schema = keelson_api::schema::Schema::builtin();
    for kind in builtin() {
        let template =
            json!({"metadata": {}, "spec": {"containers": [{"name": "c"}], "volumes": [{"name": "v"}]}});
        let mut object = json!({"metadata": {"name": "x"}, "spec": {}});
        if kind.plural == "pods" {
            object["spec"] = template["spec"].clone();
        } else if matches!(kind.group.as_ref(), "apps" | "batch") || kind.plural == "replicationcontrollers" {
            object["spec"] = json!({ "template": template });
        }
        let of = schema.kind(&kind.group, &kind.version, &kind.kind).unwrap();
        of.conform(&mut object).unwrap();
        crate::kinds::default(kind, &mut object);
        kind.strategy.prepare_create(&mut object);
        let before = object.clone();
        let found = of
            .conform(&mut object)
            .unwrap_or_else(|error| panic!("{}: {error}", kind.plural));
        assert!(found.unknown.is_empty(), "{}: {:?}", kind.plural, found.unknown);
        assert_eq!(object, before, "{}", kind.plural);
    }
}

#[test]
fn jobs_select_their_pods_by_uid() {
    let strategy = &find("batch", "v1", "jobs").unwrap().strategy;
    let mut job = json!({"metadata": {"name": "j", "uid": "u-1"}, "spec": {"template": {"spec": {
        "containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}}});
    strategy.default(&mut job);
    strategy.prepare_create(&mut job);
    assert_eq!(
        job["spec"]["selector"],
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}})
    );
    assert_eq!(job["spec"]["template"]["metadata"]["labels"]["job-name"], "j");
    assert_eq!(strategy.validate_create(&job), []);
    job["spec"]["template"]["spec"]["restartPolicy"] = json!("Always");
    assert_eq!(
        strategy.validate_create(&job)[0].to_string(),
        "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""
    );
}

#[test]
fn cron_schedules() {
    let strategy = &find("batch", "v1", "cronjobs").unwrap().strategy;
    let check = |schedule: &str| {
        let mut job = json!({"metadata": {"name": "c"}, "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template":
            {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}}}}});
        strategy.default(&mut job);
        strategy
            .validate_create(&job)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    for good in ["* * * * *", "*/5 0-6,12 1 jan-MAR mon", "@daily", "0 0 ? * 6"] {
        assert_eq!(check(good), Vec::<String>::new(), "{good}");
    }
    for bad in [
        "",
        "* * * *",
        "60 * * * *",
        "* * 0 * *",
        "a * * * *",
        "*/0 * * * *",
        "5-1 * * * *",
        "@never",
        "TZ=UTC * * * * *",
    ] {
        assert_eq!(check(bad).len(), 1, "{bad}");
    }
    assert_eq!(
        check("x"),
        ["spec.schedule: Invalid value: \"x\": expected exactly 5 fields, found 1: [x]"]
    );
}

#[test]
fn services_are_checked_as_upstream() {
    let strategy = &find("", "v1", "services").unwrap().strategy;
    let check = |spec: Value| -> Vec<String> {
        let mut service = json!({"metadata": {"name": "s"}, "spec": spec});
        strategy.default(&mut service);
        strategy
            .validate_create(&service)
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert!(check(json!({"ports": [{"port": 80}]})).is_empty());
    assert!(check(json!({"clusterIP": "None", "clusterIPs": ["None"]})).is_empty());
    assert!(check(json!({"type": "ExternalName", "externalName": "a.example."})).is_empty());
    assert_eq!(check(json!({})), ["spec.ports: Required value"]);
    assert_eq!(
        check(json!({"ports": [{"port": 80}, {"port": 81}]})),
        [
            "spec.ports[0].name: Required value",
            "spec.ports[1].name: Required value"
        ]
    );
    assert_eq!(
        check(json!({"ports": [{"port": 80, "nodePort": 30000}]})),
        ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]
    );
    assert_eq!(
        check(json!({"ports": [{"port": 80}], "externalTrafficPolicy": "Local"})),
        [
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services"
        ]
    );
}

#[test]
fn the_ephemeral_endpoint_changes_its_list_only() {
    let strategy = &find("", "v1", "pods").unwrap().strategy;
    let old = json!({"metadata": {"name": "p", "generation": 1}, "spec": {"hostname": "a"}});
    let mut new =
        json!({"metadata": {"name": "p"}, "spec": {"hostname": "b", "ephemeralContainers": [{"name": "e"}]}});
    strategy.prepare_update(Some("ephemeralcontainers"), &old, &mut new);
    assert_eq!(
        new["spec"],
        json!({"hostname": "a", "ephemeralContainers": [{"name": "e"}]})
    );
    assert_eq!(new["metadata"]["generation"], 2);
}
