//! Pods and their templates.

use super::*;

pub(super) fn pod(spec: &Value) -> Vec<String> {
    let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    for (field, value) in spec.as_object().unwrap() {
        pod["spec"][field] = value.clone();
    }
    new("", "pods", pod)
}

fn container(fields: &Value) -> Vec<String> {
    let mut container = json!({"name": "c", "image": "i"});
    for (field, value) in fields.as_object().unwrap() {
        container[field] = value.clone();
    }
    pod(&json!({"containers": [container], "volumes": [{"name": "v"}]}))
}

fn set(kind: &str, template: &Value) -> Vec<String> {
    let plural = format!("{}s", kind.to_lowercase());
    let labels = json!({"matchLabels": {"a": "b"}});
    let object =
        json!({"kind": kind, "metadata": {"name": "s"}, "spec": {"selector": labels, "template": template}});
    new("apps", &plural, object)
}

#[test]
fn templates_of_stateful_sets_are_checked_when_pods_are_made() {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "Bad_", "volumeMounts":
        [{"name": "claimed", "mountPath": "/a"}]}]}});
    assert_eq!(set("StatefulSet", &template), [""; 0]);
    assert_eq!(set("ReplicaSet", &template).len(), 3);
    let template = json!({"metadata": {"labels": {"a": "b", "c": "-"}, "annotations": {"-": ""}}, "spec":
        {"restartPolicy": "Never"}});
    let errors = set("StatefulSet", &template);
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].starts_with("spec.template.labels: Invalid value: \"-\""));
    assert!(errors[1].starts_with("spec.template.annotations: Invalid value: \"-\""));
    assert!(errors[2].starts_with("spec.template.spec.restartPolicy: Unsupported value: \"Never\""));
}

#[test]
fn templates_that_nobody_wrote_have_defaults() {
    let errors = set("ReplicaSet", &Value::Null);
    assert_eq!(
        errors,
        [
            "spec.template.metadata.labels: Invalid value: map[string]string(nil): `selector` does not match template `labels`",
            "spec.template.spec.containers: Required value",
        ]
    );
    assert_eq!(
        new("", "podtemplates", json!({"metadata": {"name": "t"}})),
        ["template.spec.containers: Required value"]
    );
    assert_eq!(
        new("", "pods", json!({"metadata": {"name": "p"}})),
        ["spec.containers: Required value"]
    );
}

#[test]
fn nothing_is_said_of_a_template_whose_selector_is_wrong() {
    let errors = |kind: &str| {
        let plural = format!("{}s", kind.to_lowercase());
        let spec = json!({"selector": {"matchLabels": {"a": "-"}}, "template": {"spec": {"restartPolicy": "Never"}}});
        new(
            "apps",
            &plural,
            json!({"kind": kind, "metadata": {"name": "s"}, "spec": spec}),
        )
    };
    let found = errors("Deployment");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("spec.selector.matchLabels: Invalid value: \"-\""));
    assert!(found[1].starts_with("spec.selector: Invalid value: "));
    assert!(found[1].ends_with(": invalid label selector"));
    // Of StatefulSets the policy is looked at all the same.
    let found = errors("StatefulSet");
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(!found[1].ends_with(": "), "{}", found[1]);
    let without = json!({"kind": "DaemonSet", "metadata": {"name": "s"}, "spec": {"template":
        {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let found = new("apps", "daemonsets", without);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("spec.template.metadata.labels: Invalid value"));
}

#[test]
fn a_grace_period_may_be_negative() {
    assert_eq!(pod(&json!({"terminationGracePeriodSeconds": -1})), [""; 0]);
    let kind = find("", "v1", "pods").unwrap();
    let running = json!({"spec": {"nodeName": "n", "terminationGracePeriodSeconds": -1}});
    assert_eq!(
        kind.strategy.grace(&running, None),
        Some(-1),
        "which a delete takes for 1"
    );
}

#[test]
fn projected_sources_may_say_nothing() {
    let volume =
        |sources: Value| pod(&json!({"volumes": [{"name": "v", "projected": {"sources": sources}}]}));
    assert_eq!(volume(json!([])), [""; 0]);
    assert_eq!(volume(json!([{}])), [""; 0]);
    assert_eq!(
        volume(json!([{"serviceAccountToken": {"path": "..data"}}, {"serviceAccountToken": {}}])),
        [
            "spec.volumes[0].projected.path: Invalid value: \"..data\": must not start with '..'",
            "spec.volumes[0].projected.path: Required value",
        ]
    );
}

#[test]
fn mounts_do_not_find_what_is_wrong() {
    let volumes = json!([{"name": "w", "nfs": {"path": "/a"}}]);
    let mounts = json!([{"name": "w", "mountPath": "/a"}, {"mountPath": "/b", "subPath": "/x", "mountPropagation": ""}]);
    let container = json!({"name": "c", "image": "i", "volumeMounts": mounts});
    let path = "spec.containers[0].volumeMounts";
    assert_eq!(
        pod(&json!({"containers": [container], "volumes": volumes})),
        [
            "spec.volumes[0].nfs.server: Required value".to_owned(),
            format!("{path}[0].name: Not found: \"w\""),
            format!("{path}[1].name: Required value"),
            format!("{path}[1].name: Not found: \"\""),
            format!("{path}.subPath: Invalid value: \"/x\": must be a relative path"),
            format!(
                "{path}.mountPropagation: Unsupported value: \"\": supported values: \"Bidirectional\", \
                 \"HostToContainer\", \"None\""
            ),
        ]
    );
}

#[test]
fn paths_without_an_index() {
    let path = "spec.containers[0]";
    assert_eq!(
        container(
            &json!({"envFrom": [{}, {"configMapRef": {"name": "a-"}}], "livenessProbe":
            {"httpGet": {"port": 1, "httpHeaders": [{"name": "a b", "value": ""}]}}})
        )
        .iter()
        .map(|error| error.split(": ").next().unwrap())
        .collect::<Vec<_>>(),
        [
            format!("{path}.envFrom"),
            format!("{path}.livenessProbe.httpGet.httpHeaders")
        ]
    );
    let csi = json!({"driver": "a.b", "nodePublishSecretRef": {"name": "-"}});
    let errors = pod(&json!({"volumes": [{"name": "v", "csi": csi}]}));
    assert!(errors[0].starts_with("spec.volumes[0].csi.name: Invalid value: \"-\""));
}

#[test]
fn ports_on_the_network_of_the_host() {
    let containers = json!([{"name": "c", "image": " i", "ports": [{"containerPort": 1, "hostPort": 2}]}]);
    let spec = json!({"containers": containers, "hostNetwork": true});
    let complaint = "spec.containers[0].ports[0].hostPort: Invalid value: 2: must match `containerPort` when `hostNetwork` is true";
    assert_eq!(
        pod(&spec),
        [
            "spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace",
            complaint
        ]
    );
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": spec});
    assert_eq!(
        set("ReplicaSet", &template),
        [complaint.replace("spec.containers", "spec.template.spec.containers")]
    );
}

#[test]
fn sources_of_volumes_have_defaults() {
    let iscsi = json!({"targetPortal": "a", "iqn": "iqn.x", "lun": 1});
    let mut volume = json!({"spec": {"iscsi": iscsi}});
    find("", "v1", "persistentvolumes")
        .unwrap()
        .strategy
        .default(&mut volume);
    assert_eq!(volume["spec"]["iscsi"]["iscsiInterface"], "default");
    let mut pod =
        json!({"spec": {"volumes": [{"name": "v", "iscsi": iscsi}, {"name": "w", "rbd": {"pool": "p"}}]}});
    find("", "v1", "pods").unwrap().strategy.default(&mut pod);
    let volumes = &pod["spec"]["volumes"];
    assert_eq!(volumes[0]["iscsi"]["iscsiInterface"], "default");
    assert_eq!(
        volumes[1]["rbd"],
        json!({"pool": "p", "user": "admin", "keyring": "/etc/ceph/keyring"})
    );
}

#[test]
fn deadlines_of_pods_do_not_become_zero() {
    let spec = json!({"containers": [{"name": "c", "image": "i"}], "activeDeadlineSeconds": 10});
    let pod = json!({"metadata": {"name": "p"}, "spec": spec});
    let change = |seconds: i64| {
        changed("", "pods", pod.clone(), |new| {
            new["spec"]["activeDeadlineSeconds"] = seconds.into();
        })
    };
    assert_eq!(change(9), [""; 0]);
    assert_eq!(
        change(0),
        ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"]
    );
    assert_eq!(change(-1).len(), 2);
}

#[test]
fn selectors_of_jobs_stay_whose_they_are() {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "Never", "containers":
        [{"name": "c", "image": "i"}]}});
    let spec = json!({"manualSelector": true, "selector": {"matchLabels": {"a": "b"}}, "template": template});
    let job = json!({"metadata": {"name": "j", "uid": "u"}, "spec": spec});
    let errors = changed("batch", "jobs", job, |new| {
        new["spec"]["manualSelector"] = false.into();
    });
    assert!(
        errors
            .iter()
            .any(|error| error.ends_with("`selector` not auto-generated")),
        "{errors:?}"
    );
}
