//! Pods: what a spec may ask for, and what a resize may change.

use super::*;

pub(super) fn pod(spec: &Value) -> Vec<String> {
    let mut all = json!({"containers": [{"name": "c", "image": "i"}]});
    for (field, value) in spec.as_object().unwrap() {
        all[field] = value.clone();
    }
    new("", "pods", json!({"metadata": {"name": "p"}, "spec": all}))
}

#[test]
fn pods_ask_for_what_there_is() {
    assert_eq!(pod(&json!({})), Vec::<String>::new());
    let sysctl = |name: &str| json!({"name": name, "value": "1"});
    let names = [
        "foo-",
        "kernel.shmmax",
        "safe-and-unsafe",
        "bar..",
        "net/ipv4/tcp_syncookies",
    ];
    let errors = pod(&json!({"securityContext": {"sysctls": names.map(sysctl)}}));
    let rule = "must have at most 253 characters and match regex \
                ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
    assert_eq!(
        errors,
        [
            format!("spec.securityContext.sysctls[0].name: Invalid value: \"foo-\": {rule}"),
            format!("spec.securityContext.sysctls[3].name: Invalid value: \"bar..\": {rule}"),
        ]
    );
    assert_eq!(
        pod(&json!({"securityContext": {"seccompProfile": {"type": "Localhost"}}})),
        [
            "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost"
        ]
    );
    let unknown = json!({"type": "x", "localhostProfile": "y"});
    let path = "spec.securityContext.seccompProfile";
    let types = "supported values: \"Localhost\", \"RuntimeDefault\", \"Unconfined\"";
    assert_eq!(
        pod(&json!({"securityContext": {"seccompProfile": unknown}})),
        [
            format!("{path}.type: Unsupported value: \"x\": {types}"),
            format!(
                "{path}.localhostProfile: Invalid value: \"y\": can only be set when seccomp type is Localhost"
            ),
        ]
    );
    assert_eq!(
        pod(&json!({"dnsPolicy": "None"})),
        ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"]
    );
    assert_eq!(
        pod(&json!({"dnsPolicy": "None", "dnsConfig": {"options": [{}]}})),
        [
            "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None"
        ]
    );
    assert_eq!(
        pod(&json!({"dnsConfig": {"nameservers": ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"]}})),
        [
            "spec.dnsConfig.nameservers: Invalid value: []string{\"1.1.1.1\", \"1.1.1.2\", \"1.1.1.3\", \"1.1.1.4\"}: must not have more \
             than 3 nameservers"
        ]
    );
    assert_eq!(
        pod(&json!({"preemptionPolicy": "Always"})),
        [
            "spec.preemptionPolicy: Unsupported value: \"Always\": supported values: \"Never\", \"PreemptLowerPriority\""
        ]
    );
    assert_eq!(
        pod(
            &json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}})
        ),
        [
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must \
             have at least one node selector term"
        ]
    );
    let term = |operator: &str, values: Value| {
        json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 101, "preference":
            {"matchExpressions": [{"key": "a", "operator": operator, "values": values}]}}]}}})
    };
    let path = "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]";
    assert_eq!(
        pod(&term("Gt", json!(["1", "2"]))),
        [
            format!("{path}.weight: Invalid value: 101: must be in the range 1-100"),
            format!(
                "{path}.preference.matchExpressions[0].values: Required value: must be specified single value when `operator` \
                 is 'Lt' or 'Gt'"
            ),
        ]
    );
    let spread =
        json!({"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "minDomains": 2});
    assert_eq!(
        pod(&json!({"topologySpreadConstraints": [spread]})),
        [
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            "spec.topologySpreadConstraints[0].minDomains: Invalid value: 2: can only use minDomains if \
             whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
        ]
    );
    assert_eq!(
        pod(&json!({"ephemeralContainers": [{"name": "e", "image": "i", "targetContainerName": "x"}]})),
        [
            "spec.ephemeralContainers[0].targetContainerName: Not found: \"x\"",
            "spec.ephemeralContainers: Forbidden: cannot be set on create",
        ]
    );
}

#[test]
fn a_resize_keeps_the_class() {
    let kind = find("", "v1", "pods").unwrap();
    let pod = |resources: Value| {
        let container = json!({"name": "c", "image": "i", "resources": resources});
        let mut pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [container]}, "status": {"qosClass": "Burstable"}});
        crate::kinds::default(kind, &mut pod);
        pod
    };
    let resized = |old: Value, new: Value| -> Vec<String> {
        let errors = kind
            .strategy
            .validate_update(Some("resize"), &pod(old), &pod(new));
        errors.iter().map(ToString::to_string).collect()
    };
    let some = json!({"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}});
    assert!(
        resized(
            some.clone(),
            json!({"requests": {"cpu": "2"}, "limits": {"memory": "1Gi"}})
        )
        .is_empty()
    );
    assert_eq!(
        resized(some, json!({})),
        [
            "spec: Invalid value: \"Burstable\": Pod QOS Class may not change as a result of resizing",
            "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
            "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed",
        ]
    );
}

#[test]
fn zeros_without_a_meaning_are_not_kept() {
    let kind = find("", "v1", "pods").unwrap();
    let mut pod = json!({"metadata": {"name": "p"}, "spec": {"hostNetwork": false, "hostPID": false,
        "automountServiceAccountToken": false, "volumes": [{"name": "v", "nfs": {"server": "s", "path": "/", "readOnly": false}}],
        "containers": [{"name": "c", "image": "i", "stdin": false, "env": [{"name": "A", "value": ""}],
            "readinessProbe": {"exec": {"command": ["a"]}, "initialDelaySeconds": 0},
            "securityContext": {"runAsNonRoot": false}, "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": false}]}]}});
    crate::kinds::default(kind, &mut pod);
    let (spec, container) = (&pod["spec"], &pod["spec"]["containers"][0]);
    for (object, field) in [
        (spec, "hostNetwork"),
        (spec, "hostPID"),
        (container, "stdin"),
        (&container["env"][0], "value"),
        (&container["readinessProbe"], "initialDelaySeconds"),
        (&container["volumeMounts"][0], "readOnly"),
        (&spec["volumes"][0]["nfs"], "readOnly"),
    ] {
        assert_eq!(object.get(field), None, "{field}");
    }
    assert_eq!(spec["automountServiceAccountToken"], false);
    assert_eq!(container["securityContext"]["runAsNonRoot"], false);

    // Nor empty lists and maps; empty structures are something.
    let plain = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}],
        "volumes": [{"name": "v", "emptyDir": {}}]}});
    let mut wordy = json!({"metadata": {"name": "p"}, "spec": {"nodeSelector": {}, "tolerations": [], "hostname": "",
        "imagePullSecrets": [], "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}},
        "volumes": [{"name": "v", "emptyDir": {"medium": ""}}],
        "containers": [{"name": "c", "image": "i", "env": [], "args": [], "ports": [],
            "resources": {"limits": {}, "requests": {}}, "envFrom": []}]}});
    let mut expected = plain;
    expected["spec"]["affinity"] = json!({"podAffinity": {}});
    crate::kinds::default(kind, &mut wordy);
    crate::kinds::default(kind, &mut expected);
    assert_eq!(wordy, expected);
}

#[test]
fn fields_of_nodes_are_their_names() {
    let affinity = |requirement: Value| {
        let terms = json!({"nodeSelectorTerms": [{"matchFields": [requirement]}]});
        let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": terms});
        pod(&json!({"affinity": {"nodeAffinity": required}}))
    };
    let of = |key: &str, operator: &str, values: Value| json!({"key": key, "operator": operator, "values": values});
    assert!(affinity(of("metadata.name", "In", json!(["n"]))).is_empty());
    let path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0]";
    let one = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
    assert_eq!(
        affinity(of("metadata.name", "In", json!(["n", "m"]))),
        [format!("{path}.values: Required value: {one}")]
    );
    let errors = affinity(of("metadata.name", "NotIn", json!(["n_"])));
    assert!(
        errors.len() == 1 && errors[0].starts_with(&format!("{path}.values[0]: Invalid value: \"n_\"")),
        "{errors:?}"
    );
    assert_eq!(
        affinity(of("metadata.uid", "Exists", json!([]))),
        [
            format!("{path}.operator: Invalid value: \"Exists\": not a valid selector operator"),
            format!("{path}.key: Invalid value: \"metadata.uid\": not a valid field selector key"),
        ]
    );
}

#[test]
fn the_old_name_of_the_node_is_not_for_files() {
    let environment = json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.host"}}}]);
    let container = json!({"name": "c", "image": "i", "env": environment});
    assert_eq!(pod(&json!({"containers": [container]})), Vec::<String>::new());
    let file = json!({"path": "a", "fieldRef": {"fieldPath": "spec.host"}});
    let errors = pod(&json!({"volumes": [{"name": "v", "downwardAPI": {"items": [file]}}]}));
    let why = "fieldRef.fieldPath: Unsupported value: \"spec.nodeName\": supported values: \"metadata.annotations\", \
               \"metadata.labels\", \"metadata.name\", \"metadata.namespace\", \"metadata.uid\"";
    assert!(errors.len() == 1 && errors[0].ends_with(why), "{errors:?}");
}

#[test]
fn divisors_are_of_whole_names() {
    let amount = |resource: &str| {
        let reference = json!({"resource": resource, "divisor": "3"});
        let environment = json!([{"name": "A", "valueFrom": {"resourceFieldRef": reference}}]);
        let errors = pod(&json!({"containers": [{"name": "c", "image": "i", "env": environment}]}));
        errors
            .iter()
            .map(|error| {
                error
                    .rsplit_once("resourceFieldRef.")
                    .unwrap()
                    .1
                    .split(':')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect::<Vec<_>>()
    };
    for resource in [
        "limits.cpu",
        "requests.memory",
        "limits.ephemeral-storage",
        "requests.hugepages-2Mi",
    ] {
        assert_eq!(amount(resource), ["divisor"], "{resource}");
    }
    assert_eq!(amount("foo.cpu"), ["resource"]);
}
