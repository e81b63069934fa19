//! The standards, by the examples of their documentation.

use serde_json::{Value, json};

use super::*;

#[allow(clippy::needless_pass_by_value)] // reads better at the call: `json!` without a borrow
fn pod(spec: Value) -> Value {
    let mut pod = json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c"}]}});
    for (field, value) in spec.as_object().unwrap() {
        pod["spec"][field] = value.clone();
    }
    pod
}

/// By the latest version of a standard.
fn latest(level: Level, pod: &Value) -> Vec<String> {
    at(level, LATEST, pod)
}

fn at(level: Level, minor: u32, pod: &Value) -> Vec<String> {
    evaluate(Policy { level, minor }, pod)
}

/// What the restricted standard is content with.
fn hardened() -> Value {
    json!({
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "c", "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        }}],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "p", "projected": {"sources": []}}],
    })
}

#[test]
fn a_plain_pod() {
    let plain = pod(json!({}));
    assert!(latest(Level::Privileged, &plain).is_empty());
    assert!(latest(Level::Baseline, &plain).is_empty());
    assert_eq!(
        latest(Level::Restricted, &plain).join(", "),
        concat!(
            "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false), ",
            "unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]), ",
            "runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true), ",
            "seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
        )
    );
    assert!(latest(Level::Restricted, &pod(hardened())).is_empty());
}

#[test]
fn baseline_refuses_ways_out() {
    let with = |context: Value| json!({"containers": [{"name": "c", "securityContext": context}]});
    for (spec, text) in [
        (
            json!({"hostNetwork": true, "hostPID": true}),
            "host namespaces (hostNetwork=true, hostPID=true)",
        ),
        (json!({"hostIPC": true}), "host namespaces (hostIPC=true)"),
        (
            with(json!({"privileged": true})),
            "privileged (container \"c\" must not set securityContext.privileged=true)",
        ),
        (
            with(json!({"capabilities": {"add": ["NET_ADMIN", "SYS_ADMIN", "CHOWN"]}})),
            "non-default capabilities (container \"c\" must not include \"NET_ADMIN\", \"SYS_ADMIN\" in securityContext.capabilities.add)",
        ),
        (
            json!({"volumes": [{"name": "h", "hostPath": {"path": "/"}}]}),
            "hostPath volumes (volume \"h\")",
        ),
        (
            json!({"containers": [{"name": "c", "ports": [{"hostPort": 80}, {"containerPort": 1}]}]}),
            "hostPort (container \"c\" uses hostPort 80)",
        ),
        (
            with(json!({"procMount": "Unmasked"})),
            "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")",
        ),
        (
            with(json!({"seccompProfile": {"type": "Unconfined"}})),
            "seccompProfile (container \"c\" must not set securityContext.seccompProfile.type to \"Unconfined\")",
        ),
        (
            json!({"securityContext": {"seLinuxOptions": {"type": "spc_t", "user": "u"}}}),
            "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type \"spc_t\"; user may not be set)",
        ),
        (
            json!({"securityContext": {"sysctls": [{"name": "kernel.msgmax"}]}}),
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            with(json!({"appArmorProfile": {"type": "Unconfined"}})),
            "forbidden AppArmor profile (container \"c\" must not set AppArmor profile type to \"Unconfined\")",
        ),
        (
            with(json!({"windowsOptions": {"hostProcess": true}})),
            "hostProcess (container \"c\" must not set securityContext.windowsOptions.hostProcess=true)",
        ),
    ] {
        assert_eq!(latest(Level::Baseline, &pod(spec.clone())), [text]);
        assert!(!latest(Level::Restricted, &pod(spec)).is_empty());
    }
}

#[test]
fn no_container_is_overlooked() {
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let mut spec = hardened();
        spec[list] = json!([{"name": "evil", "securityContext": {"privileged": true}}]);
        assert!(
            latest(Level::Baseline, &pod(spec))[0].contains("\"evil\""),
            "{list}"
        );
    }
    let two = json!({"containers": [
        {"name": "a", "securityContext": {"privileged": true}},
        {"name": "b", "securityContext": {"privileged": true}},
    ]});
    assert!(latest(Level::Baseline, &pod(two))[0].contains("containers \"a\", \"b\" must not set"));
}

#[test]
fn restricted_details() {
    let change = |pointer: &str, value: Value| {
        let mut spec = hardened();
        *spec.pointer_mut(pointer).unwrap() = value;
        latest(Level::Restricted, &pod(spec)).join(", ")
    };
    assert!(
        change("/volumes/0", json!({"name": "n", "nfs": {}}))
            .contains("restricted volume types (volume \"n\" uses restricted volume type \"nfs\")")
    );
    assert!(
        change("/securityContext/runAsNonRoot", json!(false))
            .contains("pod must not set securityContext.runAsNonRoot=false")
    );
    assert!(
        change(
            "/securityContext",
            json!({"runAsNonRoot": true, "runAsUser": 0, "seccompProfile": {"type": "Localhost"}})
        )
        .contains("runAsUser=0 (pod must not set runAsUser=0)")
    );
    assert!(
        change("/containers/0/securityContext/capabilities/add", json!(["CHOWN"]))
            .contains("container \"c\" must not include \"CHOWN\"")
    );
    assert!(
        change("/securityContext/seccompProfile/type", json!("Unconfined"))
            .contains("seccompProfile (pod must not set")
    );
    // A container may not undo what the pod sets.
    let mut spec = hardened();
    spec["containers"][0]["securityContext"]["runAsNonRoot"] = false.into();
    spec["containers"][0]["securityContext"]["seccompProfile"] = json!({"type": "Unconfined"});
    assert_eq!(latest(Level::Restricted, &pod(spec)).len(), 2);
}

#[test]
fn labels() {
    let none = Policies::default();
    assert_eq!(labelled(&[], &none), none);
    let text = |labels: &[(&str, &str)]| {
        let Policies { enforce, audit, warn } = labelled(labels, &none);
        format!("{enforce} {audit} {warn}")
    };
    // Who enforces a standard is warned of it, unless something else is said.
    for (labels, demanded) in [
        (
            &[("enforce", "baseline")][..],
            "baseline:latest privileged:latest baseline:latest",
        ),
        (
            &[("enforce", "typo")],
            "restricted:latest privileged:latest restricted:latest",
        ),
        (
            &[("audit", "typo"), ("warn", "typo")],
            "privileged:latest privileged:latest privileged:latest",
        ),
        (
            &[
                ("enforce", "restricted"),
                ("enforce-version", "v1.30"),
                ("warn", "baseline"),
            ],
            "restricted:v1.30 privileged:latest baseline:latest",
        ),
        (
            &[
                ("enforce", "restricted"),
                ("enforce-version", "v1.30"),
                ("warn-version", "v1.31"),
            ],
            "restricted:v1.30 privileged:latest restricted:v1.31",
        ),
        (
            &[("enforce", "restricted"), ("enforce-version", "v1.30")],
            "restricted:v1.30 privileged:latest restricted:v1.30",
        ),
    ] {
        assert_eq!(text(labels), demanded, "{labels:?}");
    }
}

/// What each version of the standards lets in (kubernetes.io, "Pod Security Standards").
#[test]
fn versions_differ_as_documented() {
    let sysctl = |name: &str| pod(json!({"securityContext": {"sysctls": [{"name": name, "value": "1"}]}}));
    for (name, since) in [
        ("net.ipv4.tcp_syncookies", 0),
        ("net.ipv4.ip_local_reserved_ports", 27),
        ("net.ipv4.tcp_keepalive_time", 29),
        ("net.ipv4.tcp_rmem", 32),
    ] {
        assert!(at(Level::Baseline, since, &sysctl(name)).is_empty(), "{name}");
        assert!(latest(Level::Baseline, &sysctl(name)).is_empty(), "{name}");
        if let Some(before) = since.checked_sub(1) {
            assert_eq!(
                at(Level::Baseline, before, &sysctl(name)),
                [format!("forbidden sysctls ({name})")]
            );
        }
    }
    assert_eq!(
        latest(Level::Baseline, &sysctl("kernel.msgmax")),
        ["forbidden sysctls (kernel.msgmax)"]
    );
    let engine = pod(json!({"securityContext": {"seLinuxOptions": {"type": "container_engine_t"}}}));
    assert!(at(Level::Baseline, 31, &engine).is_empty());
    assert_eq!(at(Level::Baseline, 30, &engine).len(), 1);
    // Restricted grew: what it asks of a plain pod, by version.
    let plain = pod(json!({}));
    for (minor, asked) in [
        (0, 1),
        (7, 1),
        (8, 2),
        (18, 2),
        (19, 3),
        (21, 3),
        (22, 4),
        (33, 4),
    ] {
        assert_eq!(at(Level::Restricted, minor, &plain).len(), asked, "v1.{minor}");
    }
    let mut root = hardened();
    root["securityContext"]["runAsUser"] = 0.into();
    assert!(at(Level::Restricted, 22, &pod(root.clone())).is_empty());
    assert_eq!(
        at(Level::Restricted, 23, &pod(root)),
        ["runAsUser=0 (pod must not set runAsUser=0)"]
    );
    // Before it had a check of its own, the baseline's counts.
    let adding = pod(json!({"containers": [{"name": "c", "securityContext": {
        "allowPrivilegeEscalation": false, "capabilities": {"add": ["SYS_ADMIN"]}, "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    }}]}));
    assert!(at(Level::Restricted, 21, &adding)[0].starts_with("non-default capabilities"));
    assert!(at(Level::Restricted, 22, &adding)[0].starts_with("unrestricted capabilities"));
    // Pods for Windows are spared what Windows does not have, since the standard knows them.
    let windows = pod(json!({"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": true}}));
    assert!(at(Level::Restricted, 25, &windows).is_empty());
    assert_eq!(at(Level::Restricted, 24, &windows).len(), 3);
}

#[test]
fn labels_pin_versions() {
    let of = |version: &str| {
        labelled(&[("enforce-version", version)], &Policies::default())
            .enforce
            .minor
    };
    assert_eq!(of("latest"), LATEST);
    assert_eq!(of("v1.20"), 20);
    for nonsense in ["nonsense", "v1.", "v1.+1", "v1.01", "v2.1", "1.20"] {
        assert_eq!(of(nonsense), LATEST);
        assert_eq!(Policy::version(nonsense), Err("must be \"latest\" or \"v1.x\""));
    }
}

#[test]
fn defaults_count_where_labels_are_silent() {
    let defaults = Policies {
        enforce: Policy {
            level: Level::Baseline,
            minor: 29,
        },
        warn: Policy {
            level: Level::Restricted,
            minor: LATEST,
        },
        audit: Policy::default(),
    };
    assert_eq!(labelled(&[], &defaults), defaults);
    let enforce = |labels: &[(&str, &str)]| labelled(labels, &defaults).enforce.to_string();
    assert_eq!(enforce(&[("enforce", "privileged")]), "privileged:v1.29");
    assert_eq!(enforce(&[("enforce-version", "latest")]), "baseline:latest");
    assert!(!defaults.is_privileged() && Policies::default().is_privileged());
    let mut other = defaults;
    other.audit.minor = 5;
    assert!(
        other.is_equivalent(&defaults),
        "what forbids nothing has no version"
    );
    other.warn.minor = 5;
    assert!(!other.is_equivalent(&defaults));
}

fn labelled(labels: &[(&str, &str)], defaults: &Policies) -> Policies {
    let label = |key: &str| {
        labels
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    };
    Policies::of(label, defaults)
}
