use serde_json::{Value, json};

use super::{default_pod_spec, default_template, qos_class, validate_pod_spec};

fn default_spec(spec: &mut Value) {
    default_pod_spec(spec.as_object_mut().unwrap());
}

fn errors(mut spec: Value) -> Vec<String> {
    default_spec(&mut spec);
    validate_pod_spec(&spec, "spec", true)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn defaults_of_a_pod() {
    let mut spec = json!({
        "containers": [{
            "name": "c", "image": "nginx",
            "ports": [{"containerPort": 80}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
            "livenessProbe": {"httpGet": {"port": 80}},
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
        }, {"name": "d", "image": "r.io:5000/x:1.2"}, {"name": "e", "image": "x@sha256:00"}],
        "volumes": [{"name": "v"}, {"name": "s", "secret": {"secretName": "x"}}]
    });
    default_spec(&mut spec);
    assert_eq!(
        spec,
        json!({
            "containers": [{
                "name": "c", "image": "nginx", "imagePullPolicy": "Always",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}},
                "livenessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1,
                    "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"
            }, {
                "name": "d", "image": "r.io:5000/x:1.2", "imagePullPolicy": "IfNotPresent", "resources": {},
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"
            }, {
                "name": "e", "image": "x@sha256:00", "imagePullPolicy": "IfNotPresent", "resources": {},
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"
            }],
            "volumes": [{"name": "v", "emptyDir": {}}, {"name": "s", "secret": {"secretName": "x", "defaultMode": 420}}],
            "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
            "terminationGracePeriodSeconds": 30, "securityContext": {}, "enableServiceLinks": true
        })
    );
    let before = spec.clone();
    default_spec(&mut spec);
    assert_eq!(spec, before, "defaulting is idempotent");
}

#[test]
fn templates_take_no_requests_from_limits() {
    let mut template =
        json!({"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]}});
    default_template(&mut template);
    assert_eq!(
        template["spec"]["containers"][0]["resources"],
        json!({"limits": {"cpu": "1"}})
    );
    assert!(template["spec"].get("enableServiceLinks").is_none());
}

#[test]
fn quality_of_service() {
    let pod = |resources: Value| json!({"containers": [{"name": "c", "resources": resources}]});
    let all = json!({"cpu": "1", "memory": "1Gi"});
    assert_eq!(qos_class(&pod(json!({}))), "BestEffort");
    assert_eq!(
        qos_class(&pod(json!({"limits": all, "requests": all}))),
        "Guaranteed"
    );
    assert_eq!(
        qos_class(&pod(
            json!({"limits": all, "requests": {"cpu": "1000m", "memory": "1024Mi"}})
        )),
        "Guaranteed"
    );
    assert_eq!(qos_class(&pod(json!({"requests": {"cpu": "1m"}}))), "Burstable");
    assert_eq!(qos_class(&pod(json!({"limits": {"cpu": "1"}}))), "Burstable");
    // To ask for nothing is not to ask for the limit.
    let nothing = json!({"limits": all, "requests": {"cpu": "0", "memory": 0}});
    assert_eq!(qos_class(&pod(nothing)), "Burstable");
    // In thousandths, as the kernel is told.
    let rounded =
        json!({"limits": {"cpu": "1.0005", "memory": 1}, "requests": {"cpu": "1.0001", "memory": 1}});
    assert_eq!(qos_class(&pod(rounded)), "Guaranteed");
}

#[test]
fn a_good_pod_has_no_errors() {
    let spec = json!({
        "containers": [{
            "name": "c", "image": "i", "ports": [{"name": "http", "containerPort": 80}],
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a/b']"}}},
                    {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
            "envFrom": [{"configMapRef": {"name": "x"}}],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            "readinessProbe": {"tcpSocket": {"port": "http"}},
            "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}
        }],
        "initContainers": [{"name": "i", "image": "i", "restartPolicy": "Always", "startupProbe": {"grpc": {"port": 1}}}],
        "volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}},
            {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}}]}}],
        "tolerations": [{"operator": "Exists"}]
    });
    assert_eq!(errors(spec), Vec::<String>::new());
}

#[test]
fn errors_read_as_upstream() {
    let container = |extra: Value| {
        let mut one = json!({"name": "c", "image": "i"});
        for (key, value) in extra.as_object().unwrap() {
            one[key] = value.clone();
        }
        json!({"containers": [one]})
    };
    let cases = [
        (json!({}), "spec.containers: Required value"),
        (
            container(json!({"image": ""})),
            "spec.containers[0].image: Required value",
        ),
        (
            container(json!({"name": "c c"})),
            "spec.containers[0].name: Invalid value: \"c c\": a lowercase RFC 1123 label",
        ),
        (
            json!({"containers": [{"name": "c", "image": "i"}, {"name": "c", "image": "i"}]}),
            "spec.containers[1].name: Duplicate value: \"c\"",
        ),
        (
            container(json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]})),
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
        ),
        (
            container(json!({"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "500m"}}})),
            "spec.containers[0].resources.requests: Invalid value: \"1\": must be less than or equal to cpu limit of 500m",
        ),
        (
            container(json!({"ports": [{}]})),
            "spec.containers[0].ports[0].containerPort: Required value",
        ),
        (
            container(json!({"livenessProbe": {}})),
            "spec.containers[0].livenessProbe: Required value: must specify a handler type",
        ),
        (
            container(json!({"livenessProbe": {"exec": {"command": ["a"]}, "successThreshold": 2}})),
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            container(json!({"env": [{"value": "x"}]})),
            "spec.containers[0].env[0].name: Required value",
        ),
        (
            container(json!({"env": [{"name": "a", "valueFrom": {}}]})),
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, \
             `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        ),
        (
            container(json!({"env": [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]})),
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.x\": error converting \
             fieldPath: field label not supported: spec.x",
        ),
        (
            container(json!({"imagePullPolicy": "Sometimes"})),
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \
             \"IfNotPresent\", \"Never\"",
        ),
    ];
    for (spec, expected) in cases {
        let found = errors(spec);
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "expected {expected}, found {found:?}"
        );
    }
    let found = errors(json!({"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Often"}));
    assert_eq!(
        found,
        [
            "spec.restartPolicy: Unsupported value: \"Often\": supported values: \"Always\", \"OnFailure\", \"Never\""
        ]
    );
}

/// As many containers, volumes and devices as a request may have are gone over a few times each, not once for each other.
#[test]
fn pods_of_very_many_parts() {
    let containers = vec![json!({"name": "x", "volumeDevices": [{}]}); 20_000];
    let spec = json!({"containers": containers, "volumes": vec![json!({}); 20_000]});
    let began = std::time::Instant::now();
    let errors = validate_pod_spec(&spec, "spec", true);
    assert!(errors.len() > 80_000);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    // Paths that are taken again are told once for each source, which is shown.
    let items = vec![json!({"key": "k", "path": "p"}); 1_000];
    let source = json!({"secret": {"name": "s".repeat(1 << 20), "items": items}});
    let spec = json!({"containers": [], "volumes": [{"name": "v", "projected": {"sources": [source]}}]});
    let errors = validate_pod_spec(&spec, "spec", true);
    let taken: Vec<_> = errors
        .iter()
        .filter(|error| error.message.contains("conflicting duplicate paths"))
        .collect();
    assert_eq!(taken.len(), 1);
    assert!(taken[0].message.len() < 5_000);
}
