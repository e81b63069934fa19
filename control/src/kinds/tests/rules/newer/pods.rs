//! Fields of containers and of security contexts.

use super::*;

fn one(list: &str, fields: &Value) -> Vec<String> {
    let mut container = json!({"name": "x", "image": "i"});
    for (field, value) in fields.as_object().unwrap() {
        container[field] = value.clone();
    }
    pod(&json!({list: [container], "volumes": [{"name": "v"}]}))
}

fn container(fields: &Value) -> Vec<String> {
    one("containers", fields)
}

#[test]
fn policies_of_a_resize() {
    let rules = |list: &str, rules: Value, policy: Value| {
        one(list, &json!({"resizePolicy": rules, "restartPolicy": policy}))
    };
    let good = json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"},
        {"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
    assert_eq!(rules("containers", good.clone(), json!(null)), [""; 0]);
    assert_eq!(rules("initContainers", good.clone(), json!("Always")), [""; 0]);
    assert_eq!(rules("initContainers", json!([good[0]]), json!(null)), [""; 0]);
    let wrong = json!([good[0], good[0], {"resourceName": "gpu", "restartPolicy": "Maybe"}, {}]);
    let path = "spec.containers[0].resizePolicy";
    assert_eq!(
        rules("containers", wrong, json!(null)),
        [
            format!("{path}[1]: Duplicate value: \"cpu\""),
            format!("{path}: Unsupported value: \"gpu\": supported values: \"cpu\", \"memory\""),
            format!(
                "{path}: Unsupported value: \"Maybe\": supported values: \"NotRequired\", \"RestartContainer\""
            ),
            format!("{path}: Required value"),
            format!("{path}: Required value"),
        ]
    );
    let never = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "i", "resizePolicy": [good[1]]}]});
    assert_eq!(
        pod(&never),
        [format!(
            "{path}: Invalid value: \"RestartContainer\": must be 'NotRequired' when `restartPolicy` is 'Never'"
        )]
    );
}

#[test]
fn users_of_a_pods_own() {
    let all = json!({"hostUsers": false, "hostNetwork": true, "hostPID": true, "hostIPC": true});
    assert_eq!(
        pod(&all),
        ["hostNetwork", "HostPID", "HostIPC"]
            .map(|field| format!("spec.{field}: Forbidden: when `hostUsers` is false"))
    );
    let unmasked = json!([{"name": "c", "image": "i", "securityContext": {"procMount": "Unmasked"}}]);
    assert_eq!(pod(&json!({"hostUsers": false, "containers": unmasked})), [""; 0]);
    assert_eq!(
        pod(&json!({"containers": unmasked})),
        [
            "spec.containers[0].securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use \
             `Unmasked`"
        ]
    );
}

#[test]
fn labels_of_selinux_change_recursively() {
    let policy = |policy: &str| pod(&json!({"securityContext": {"seLinuxChangePolicy": policy}}));
    assert_eq!(policy("Recursive"), [""; 0]);
    assert_eq!(
        policy("MountOption"),
        [
            "spec.securityContext.seLinuxChangePolicy: Unsupported value: \"MountOption\": supported values: \"Recursive\""
        ]
    );
}

#[test]
fn a_hook_sleeps_no_longer_than_the_pod_has() {
    let sleep = |seconds: i64| container(&json!({"lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}}));
    for seconds in [0, 30] {
        assert_eq!(sleep(seconds), [""; 0]);
    }
    for seconds in [-1, 31] {
        assert_eq!(
            sleep(seconds),
            [format!(
                "spec.containers[0].lifecycle.preStop.sleep: Invalid value: {seconds}: must be non-negative and less than \
                 terminationGracePeriodSeconds (30)"
            )]
        );
    }
}

#[test]
fn mounts_that_can_only_be_read_all_the_way_down() {
    let mount = |fields: Value| {
        let mut mount = json!({"name": "v", "mountPath": "/v"});
        for (field, value) in fields.as_object().unwrap() {
            mount[field] = value.clone();
        }
        container(&json!({"volumeMounts": [mount]}))
    };
    let path = "spec.containers[0].volumeMounts.recursiveReadOnly";
    for good in [
        json!({"recursiveReadOnly": "Disabled"}),
        json!({"recursiveReadOnly": "Enabled", "readOnly": true, "mountPropagation": "None"}),
    ] {
        assert_eq!(mount(good), [""; 0]);
    }
    assert_eq!(
        mount(json!({"recursiveReadOnly": "IfPossible", "mountPropagation": "HostToContainer"})),
        [
            format!("{path}: Forbidden: may only be specified when readOnly is true"),
            format!(
                "{path}: Forbidden: may only be specified when mountPropagation is None or not specified"
            ),
        ]
    );
    assert_eq!(
        mount(json!({"recursiveReadOnly": "Yes"})),
        [format!(
            "{path}: Unsupported value: \"Yes\": supported values: \"Disabled\", \"Enabled\", \"IfPossible\""
        )]
    );
}

#[test]
fn pods_for_windows() {
    let of = |name: &str, context: Value, own: Value| {
        let containers = json!([{"name": "c", "image": "i", "securityContext": own}]);
        pod(
            &json!({"os": {"name": name}, "hostPID": false, "securityContext": context, "containers": containers}),
        )
    };
    let options = json!({"windowsOptions": {"runAsUserName": "NT AUTHORITY\\SYSTEM"}});
    assert_eq!(of("windows", json!({}), json!({})), [""; 0]);
    assert_eq!(
        of("linux", options.clone(), options),
        ["spec", "spec.containers[0]"].map(|path| format!(
            "{path}.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod"
        ))
    );
    assert_eq!(
        of(
            "windows",
            json!({"fsGroup": 1, "runAsNonRoot": true}),
            json!({"privileged": true})
        ),
        [
            "securityContext.fsGroup",
            "containers[0].securityContext.privileged"
        ]
        .map(|field| format!("spec.{field}: Forbidden: cannot be set for a windows pod"))
    );
}

#[test]
fn processes_of_a_windows_host() {
    let with = |spec: Value, own: &[Value]| {
        let containers: Vec<Value> = own
            .iter()
            .enumerate()
            .map(|(index, own)| {
                let context = json!({"windowsOptions": {"hostProcess": own}});
                json!({"name": format!("c{index}"), "image": "i", "securityContext": context})
            })
            .collect();
        let mut spec = spec;
        spec["containers"] = json!(containers);
        pod(&spec)
    };
    let whole = json!({"hostNetwork": true, "securityContext": {"windowsOptions": {"hostProcess": true}}});
    assert_eq!(with(whole.clone(), &[json!(null), json!(true)]), [""; 0]);
    assert_eq!(
        with(whole, &[json!(true), json!(false)]),
        [
            "spec.containers[1].securityContext.windowsOptions.hostProcess: Invalid value: false: pod hostProcess value must \
             be identical if both are specified, was true",
            "spec: Invalid value: \"\": If pod contains any hostProcess containers then all containers must be HostProcess \
             containers",
        ]
    );
    assert_eq!(
        with(json!({}), &[json!(true)]),
        [
            "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers"
        ]
    );
}

#[test]
fn options_for_windows() {
    let options = |options: Value| -> Vec<String> {
        let errors = pod(&json!({"securityContext": {"windowsOptions": options}}));
        let told = errors.iter().map(|error| {
            let error = error
                .strip_prefix("spec.securityContext.windowsOptions.")
                .unwrap_or(error);
            let (path, rest) = error.split_once(": ").unwrap();
            let detail = rest.rsplit_once("\": ").map_or(rest, |(_, detail)| detail);
            format!("{path}: {detail}")
        });
        told.collect()
    };
    let user = |name: &str| options(json!({"runAsUserName": name}));
    let of_user = |detail: &str| vec![format!("runAsUserName: {detail}")];
    for good in ["Administrator", "a.b-c.example\\user", "NT AUTHORITY\\SYSTEM"] {
        assert_eq!(user(good), [""; 0], "{good}");
    }
    for (name, detail) in [
        ("", "runAsUserName cannot be an empty string"),
        ("a\u{7}", "runAsUserName cannot contain control characters"),
        ("a\\b\\c", "runAsUserName cannot contain more than one backslash"),
        (
            "*\\a",
            "runAsUserName's Domain doesn't match the NetBios nor the DNS format",
        ),
        ("a\\", "runAsUserName's User cannot be empty"),
        ("..", "runAsUserName's User cannot contain only periods or spaces"),
    ] {
        assert_eq!(user(name), of_user(detail), "{name}");
    }
    assert_eq!(
        user(&"a".repeat(105)),
        of_user("runAsUserName's User length must not be longer than 104 characters")
    );
    assert_eq!(user("a@b").len(), 1);
    assert_eq!(
        options(json!({"gmsaCredentialSpec": ""})),
        ["gmsaCredentialSpec: gmsaCredentialSpec cannot be an empty string"]
    );
    assert_eq!(
        options(json!({"gmsaCredentialSpec": "a".repeat(65_537)})).len(),
        1
    );
    assert_eq!(options(json!({"gmsaCredentialSpecName": "a_b"})).len(), 1);
}
