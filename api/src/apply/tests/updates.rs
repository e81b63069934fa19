//! Creates and updates.

use serde_json::json;

use super::*;
use crate::apply::{decode, is_reset, same_but_times};

fn nginx() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "nginx", "namespace": "default", "labels": {"app": "nginx"}},
        "spec": {"replicas": 1, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": "nginx"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {"metadata": {"labels": {"app": "nginx"}}, "spec": {
                "containers": [{"name": "nginx", "image": "nginx", "imagePullPolicy": "Always", "resources": {},
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}],
                "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                "securityContext": {}, "terminationGracePeriodSeconds": 30}}},
        "status": {}})
}

#[test]
fn a_created_deployment_looks_as_upstreams() {
    // `kubectl create deployment nginx --image=nginx` on Kubernetes 1.33.
    let expected = json!({
        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
        "f:spec": {"f:progressDeadlineSeconds": {}, "f:replicas": {}, "f:revisionHistoryLimit": {}, "f:selector": {},
            "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}},
            "f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {
                "f:containers": {"k:{\"name\":\"nginx\"}": {".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {},
                    "f:resources": {}, "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {}}},
                "f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {}, "f:securityContext": {},
                "f:terminationGracePeriodSeconds": {}}}},
    });
    let managers = DEPLOYMENT.update("kubectl-create", None, &nginx(), &[]);
    assert_eq!(fields(&managers, "kubectl-create"), expected);
    // Resources that a client leaves out are there in Go's struct all the same.
    let mut bare = nginx();
    bare["spec"]["template"]["spec"]["containers"][0]
        .as_object_mut()
        .unwrap()
        .remove("resources");
    let managers = DEPLOYMENT.update("kubectl-create", None, &bare, &[]);
    assert_eq!(fields(&managers, "kubectl-create"), expected);
}

#[test]
fn ports_are_named_by_both_keys_and_defaults() {
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]}});
    let managers = POD.update("m", None, &pod, &[]);
    assert_eq!(
        fields(&managers, "m")["f:spec"]["f:containers"]["k:{\"name\":\"c\"}"]["f:ports"],
        json!({".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}})
    );
}

#[test]
fn a_field_may_be_granular_where_its_type_is_atomic() {
    let claimed = json!({"metadata": {"name": "v"}, "spec": {"claimRef": {"name": "c", "namespace": "n"}}});
    let managers = VOLUME.update("m", None, &claimed, &[]);
    assert_eq!(
        fields(&managers, "m"),
        json!({"f:spec": {"f:claimRef": {".": {}, "f:name": {}, "f:namespace": {}}}})
    );
    let referring =
        json!({"metadata": {"name": "e", "namespace": "n"}, "involvedObject": {"name": "p", "kind": "Pod"}});
    let managers = EVENT.update("m", None, &referring, &[]);
    assert_eq!(fields(&managers, "m"), json!({"f:involvedObject": {}}));
}

#[test]
fn who_changes_a_field_takes_it_and_who_removes_it_frees_it() {
    let old = json!({"metadata": {"name": "c"}, "data": {"a": "1", "b": "1", "c": "1"}});
    let managers = CONFIG_MAP.update("first", None, &old, &[]);
    let new = json!({"metadata": {"name": "c", "finalizers": ["x/y"]}, "data": {"a": "2", "b": "1"}});
    let managers = CONFIG_MAP.update("second", Some(&old), &new, &managers);
    assert_eq!(
        fields(&managers, "first"),
        json!({"f:data": {".": {}, "f:b": {}}})
    );
    assert_eq!(
        fields(&managers, "second"),
        json!({"f:data": {"f:a": {}}, "f:metadata": {"f:finalizers": {".": {}, "v:\"x/y\"": {}}}})
    );
    assert_eq!(CONFIG_MAP.update("third", Some(&new), &new, &managers), managers);
    // With the last of its fields a manager goes.
    let empty = json!({"metadata": {"name": "c"}});
    assert!(
        CONFIG_MAP
            .update("third", Some(&new), &empty, &managers)
            .is_empty()
    );
}

#[test]
fn an_object_that_forgot_its_managers_goes_on_without() {
    let old = json!({"metadata": {"name": "c"}, "data": {"a": "1"}});
    let new = json!({"metadata": {"name": "c"}, "data": {"a": "2"}});
    assert!(CONFIG_MAP.update("m", Some(&old), &new, &[]).is_empty());
    assert!(is_reset(&json!([])) && is_reset(&json!([{}])));
    assert!(!is_reset(&Value::Null) && !is_reset(&json!([{"manager": "m"}])));
}

#[test]
fn the_oldest_updaters_become_one() {
    let mut old = json!({"metadata": {"name": "c"}, "data": {"0": "x"}});
    let mut managers = CONFIG_MAP.update("m00", None, &old, &[]);
    for at in 1..14 {
        let mut new = old.clone();
        new["data"][at.to_string()] = "x".into();
        managers = CONFIG_MAP.update(&format!("m{at:02}"), Some(&old), &new, &managers);
        old = new;
    }
    let mut names = names(&managers);
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "ancient-changes",
            "m05",
            "m06",
            "m07",
            "m08",
            "m09",
            "m10",
            "m11",
            "m12",
            "m13"
        ]
    );
    assert_eq!(
        fields(&managers, "ancient-changes"),
        json!({"f:data": {".": {}, "f:0": {}, "f:1": {}, "f:2": {}, "f:3": {}, "f:4": {}}})
    );
}

#[test]
fn entries_are_written_in_upstreams_order_and_read_back() {
    let old = json!({"metadata": {"name": "c"}, "data": {"a": "1"}});
    let managers = CONFIG_MAP.update("z", None, &old, &[]);
    let applied = CONFIG_MAP
        .apply("b", &old, &json!({"data": {"b": "1"}}), &managers, false)
        .unwrap();
    let written = encode(applied.managers.clone());
    assert_eq!(
        written,
        json!([
            {"manager": "b", "operation": "Apply", "apiVersion": "v1", "time": "2026-01-02T00:00:00Z",
                "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:b": {}}}},
            {"manager": "z", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {".": {}, "f:a": {}}}},
        ])
    );
    assert_eq!(encode(decode(&written, true).unwrap()), written);
    let mut later = written.clone();
    later[0]["time"] = "2027-01-02T00:00:00Z".into();
    assert!(same_but_times(&written, &later));
    later[0]["manager"] = "c".into();
    assert!(!same_but_times(&written, &later));
}

#[test]
fn status_belongs_to_its_own_endpoint() {
    let old = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}});
    let managers = POD.update("m", None, &old, &[]);
    let mut new = old.clone();
    new["status"] = json!({"phase": "Running"});
    assert_eq!(POD.update("m", Some(&old), &new, &managers), managers);
}

#[test]
#[ignore = "prints figures; only a release build's mean anything"]
fn what_it_costs() {
    let time = |what: &str, run: &dyn Fn()| {
        for _ in 0..200 {
            run();
        }
        let began = std::time::Instant::now();
        for _ in 0..2000 {
            run();
        }
        println!("{what}: {:.1} us", began.elapsed().as_secs_f64() / 2000.0 * 1e6);
    };
    let new = nginx();
    let managers = DEPLOYMENT.update("m", None, &new, &[]);
    let written = encode(managers.clone());
    println!(
        "object {} bytes, managedFields {} bytes",
        new.to_string().len(),
        written.to_string().len()
    );
    time("a create's managers", &|| {
        std::hint::black_box(encode(DEPLOYMENT.update("m", None, &new, &[])));
    });
    let mut changed = new.clone();
    changed["spec"]["replicas"] = 2.into();
    time("an update's managers", &|| {
        let managers = decode(&written, false).unwrap();
        std::hint::black_box(encode(DEPLOYMENT.update("n", Some(&new), &changed, &managers)));
    });
    time("an update that changes nothing", &|| {
        std::hint::black_box(DEPLOYMENT.update("n", Some(&new), &new, &[]));
    });
    let text = new.to_string();
    time("parsing the object, to compare", &|| {
        std::hint::black_box(serde_json::from_str::<Value>(&text).unwrap());
    });
}
