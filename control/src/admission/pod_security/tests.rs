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
    assert!(evaluate(Level::Privileged, &plain).is_empty());
    assert!(evaluate(Level::Baseline, &plain).is_empty());
    assert_eq!(
        evaluate(Level::Restricted, &plain).join(", "),
        concat!(
            "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false), ",
            "unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]), ",
            "runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true), ",
            "seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
        )
    );
    assert!(evaluate(Level::Restricted, &pod(hardened())).is_empty());
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
        assert_eq!(evaluate(Level::Baseline, &pod(spec.clone())), [text]);
        assert!(!evaluate(Level::Restricted, &pod(spec)).is_empty());
    }
}

#[test]
fn no_container_is_overlooked() {
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let mut spec = hardened();
        spec[list] = json!([{"name": "evil", "securityContext": {"privileged": true}}]);
        assert!(
            evaluate(Level::Baseline, &pod(spec))[0].contains("\"evil\""),
            "{list}"
        );
    }
    let two = json!({"containers": [
        {"name": "a", "securityContext": {"privileged": true}},
        {"name": "b", "securityContext": {"privileged": true}},
    ]});
    assert!(evaluate(Level::Baseline, &pod(two))[0].contains("containers \"a\", \"b\" must not set"));
}

#[test]
fn restricted_details() {
    let change = |pointer: &str, value: Value| {
        let mut spec = hardened();
        *spec.pointer_mut(pointer).unwrap() = value;
        evaluate(Level::Restricted, &pod(spec)).join(", ")
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
    assert_eq!(evaluate(Level::Restricted, &pod(spec)).len(), 2);
}

#[test]
fn labels() {
    assert_eq!(level(None, "enforce"), Level::Privileged);
    assert_eq!(level(Some("baseline"), "enforce"), Level::Baseline);
    assert_eq!(level(Some("typo"), "enforce"), Level::Restricted);
    assert_eq!(level(Some("typo"), "warn"), Level::Privileged);
}
