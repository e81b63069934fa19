//! Resources that change while a pod runs.

use super::*;

const ONLY: &str = "spec: Forbidden: only cpu and memory resources are mutable";

fn pod() -> Value {
    let resources = json!({
        "requests": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}, "limits": {"memory": "2Gi"},
    });
    let mut pod = json!({"metadata": {"name": "p"}, "status": {"qosClass": "Burstable"}, "spec": {
        "containers": [{"name": "a", "image": "x", "resources": resources}],
        "initContainers": [
            {"name": "i", "image": "x", "resources": resources},
            {"name": "s", "image": "x", "resources": resources, "restartPolicy": "Always"},
        ],
    }});
    crate::kinds::default(find("", "v1", "pods").unwrap(), &mut pod);
    pod
}

/// Complaints about a resize, after its preparation.
fn told(old: &Value, change: impl Fn(&mut Value)) -> Vec<String> {
    let strategy = &find("", "v1", "pods").unwrap().strategy;
    let mut new = old.clone();
    change(&mut new);
    strategy.prepare_update(Some("resize"), old, &mut new);
    let errors = strategy.validate_update(Some("resize"), old, &new);
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn what_it_changes() {
    let set = |path: &'static str, value: Value| {
        told(&pod(), move |new| *new.pointer_mut(path).unwrap() = value.clone())
    };
    let (main, init, sidecar) = (
        "/spec/containers/0",
        "/spec/initContainers/0",
        "/spec/initContainers/1",
    );
    let path = |start: &str, end: &str| -> &'static str { format!("{start}/{end}").leak() };
    let (cpu, disk) = ("resources/requests/cpu", "resources/requests/ephemeral-storage");
    let memory = "resources/limits/memory";
    let none: [&str; 0] = [];
    for (path, value) in [
        (path(main, cpu), json!("2")),
        (path(main, memory), json!("3Gi")),
        (path(sidecar, "resources/requests/memory"), json!("2Gi")),
        // All the rest of a request is left out.
        (path(main, "image"), json!("y")),
        ("/spec/terminationGracePeriodSeconds", json!(1)),
    ] {
        assert_eq!(set(path, value), none, "{path}");
    }
    let less = |list: &str| {
        format!(
            "spec.{list}.resources.limits[memory]: Forbidden: memory limits cannot be decreased unless resizePolicy is \
             RestartContainer"
        )
    };
    for (path, value, detail) in [
        (path(main, disk), json!("2Gi"), ONLY.to_owned()),
        (
            path(main, "resizePolicy"),
            json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"}]),
            ONLY.to_owned(),
        ),
        (
            path(init, cpu),
            json!("2"),
            "spec: Forbidden: resources for non-sidecar init containers are immutable".to_owned(),
        ),
        (
            path(sidecar, disk),
            json!("2Gi"),
            "spec: Forbidden: only cpu and memory resources for sidecar containers are mutable".to_owned(),
        ),
        (path(main, memory), json!("1Gi"), less("containers[0]")),
        (path(sidecar, memory), json!("1Gi"), less("initContainers[1]")),
    ] {
        let told = told(&pod(), |new| {
            let (parent, field) = path.rsplit_once('/').unwrap();
            new.pointer_mut(parent).unwrap()[field] = value.clone();
        });
        assert_eq!(told, [detail], "{path}");
    }
}

#[test]
fn memory_is_taken_from_containers_that_start_again() {
    let mut old = pod();
    let policy = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
    old["spec"]["containers"][0]["resizePolicy"] = policy;
    let less = |new: &mut Value| new["spec"]["containers"][0]["resources"]["limits"]["memory"] = json!("1Gi");
    assert_eq!(told(&old, less), [""; 0]);
}

#[test]
fn what_a_container_has_it_keeps_and_the_pod_its_class() {
    let told = told(&pod(), |new| {
        new["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1", "memory": "1Gi"}});
    });
    assert_eq!(
        told,
        [
            "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
            "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed",
            ONLY,
        ]
    );
    let mut old = json!({"metadata": {"name": "p"}, "status": {"qosClass": "BestEffort"},
        "spec": {"containers": [{"name": "a", "image": "x"}]}});
    find("", "v1", "pods").unwrap().strategy.default(&mut old);
    let classes = self::told(&old, |new| {
        new["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
    });
    assert_eq!(
        classes,
        ["spec: Invalid value: \"BestEffort\": Pod QOS Class may not change as a result of resizing"]
    );
}

#[test]
fn containers_stay_the_same() {
    let refused = told(&pod(), |new| {
        new["spec"]["containers"] = json!([new["spec"]["containers"][0], {"name": "b", "image": "y"}]);
    });
    assert!(
        refused.contains(
            &"spec.containers: Forbidden: containers may not be added or removed on resize".to_owned()
        ),
        "{refused:?}"
    );
    assert_eq!(
        told(&pod(), |new| {
            new["spec"]["initContainers"].as_array_mut().unwrap().swap(0, 1);
        }),
        [0, 1].map(|index| format!(
            "spec.initContainers[{index}].name: Forbidden: initContainers may not be renamed or reordered on resize"
        ))
    );
}

#[test]
fn pods_that_are_never_resized() {
    type Change = fn(&mut Value);
    let more = |new: &mut Value| new["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("2");
    let cases: [(&str, Change); 4] = [
        ("[]: Forbidden: static pods cannot be resized", |pod| {
            pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "m"});
            pod["spec"]["nodeName"] = json!("n");
        }),
        ("[]: Forbidden: windows pods cannot be resized", |pod| {
            pod["spec"]["os"] = json!({"name": "windows"});
        }),
        (
            "[]: Forbidden: pods with pod-level resources cannot be resized",
            |pod| pod["spec"]["resources"] = json!({"limits": {"cpu": "1"}}),
        ),
        (
            "spec: Forbidden: Pod running on node without support for resize",
            |pod| {
                pod["status"]["containerStatuses"] = json!([{"name": "a", "state": {"running": {}}}]);
            },
        ),
    ];
    for (expected, with) in cases {
        let mut old = pod();
        with(&mut old);
        assert_eq!(told(&old, more), [expected]);
    }
}

#[test]
fn nothing_is_something_that_a_container_can_have() {
    let mut old = pod();
    let running =
        json!({"name": "a", "state": {"running": {"startedAt": "2024-01-01T00:00:00Z"}}, "resources": {}});
    old["status"]["containerStatuses"] = json!([running]);
    crate::kinds::default(find("", "v1", "pods").unwrap(), &mut old);
    let more = |new: &mut Value| new["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("2");
    assert_eq!(told(&old, more), [""; 0]);
}
