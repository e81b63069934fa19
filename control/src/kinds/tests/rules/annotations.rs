//! Annotations of pods that mean something, and the fields that came for them.

use keelson_api::status::MOST_ERRORS;

use super::*;

const ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP: &str = "seccomp.security.alpha.kubernetes.io/pod";

fn pod(annotations: &Value, spec: &Value) -> Value {
    let mut all = json!({"containers": [{"name": "c", "image": "i"}]});
    for (field, value) in spec.as_object().unwrap() {
        all[field] = value.clone();
    }
    json!({"metadata": {"name": "p", "annotations": annotations}, "spec": all})
}

#[test]
fn values_of_annotations() {
    let none = json!({});
    let (of_c, of_d) = (format!("{ARMOR}c"), format!("{ARMOR}d"));
    for (key, value, expected) in [
        (
            "kubernetes.io/config.mirror",
            "m",
            "[kubernetes.io/config.mirror]: Invalid value: \"m\": must set spec.nodeName if mirror \
            pod annotation is set",
        ),
        (
            "controller.kubernetes.io/pod-deletion-cost",
            "+1",
            "[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"+1\": \
            must be a 32bit integer",
        ),
        (
            SECCOMP,
            "x",
            ".seccomp.security.alpha.kubernetes.io/pod: Invalid value: \"x\": must be a valid seccomp profile",
        ),
        (
            of_d.as_str(),
            "unconfined",
            "[container.apparmor.security.beta.kubernetes.io/d]: Invalid value: \"d\": container \
            not found",
        ),
        (
            of_c.as_str(),
            "x",
            "[container.apparmor.security.beta.kubernetes.io/c]: Invalid value: \"x\": invalid AppArmor \
            profile name: \"x\"",
        ),
    ] {
        let of_pod = format!("metadata.annotations{expected}");
        assert_eq!(new("", "pods", pod(&json!({key: value}), &none)), [of_pod]);
        let mut template = pod(&json!({key: value}), &none);
        template["metadata"]["labels"] = json!({"a": "b"});
        let spec = json!({"template": template, "selector": {"matchLabels": {"a": "b"}}});
        let of_template = format!("spec.template.annotations{expected}");
        for kind in ["ReplicaSet", "StatefulSet"] {
            let set = json!({"kind": kind, "metadata": {"name": "s"}, "spec": spec});
            let plural = format!("{}s", kind.to_lowercase());
            assert_eq!(new("apps", &plural, set), [of_template.as_str()], "{kind}");
        }
    }
    for (key, value) in [
        ("controller.kubernetes.io/pod-deletion-cost", "-2147483648"),
        (SECCOMP, "localhost/a"),
        (SECCOMP, "docker/default"),
        (of_c.as_str(), "localhost/a"),
    ] {
        assert_eq!(
            new("", "pods", pod(&json!({key: value}), &none)),
            [""; 0],
            "{value}"
        );
    }
}

#[test]
fn no_more_annotations_are_told_than_anybody_reads() {
    let many = (0..2 * MOST_ERRORS).map(|n| (format!("{ARMOR}x{n}"), json!("unconfined")));
    let all = pod(&Value::Object(many.collect()), &json!({}));
    assert_eq!(new("", "pods", all).len(), MOST_ERRORS + 1);
}

#[test]
fn annotations_and_fields_agree() {
    let (of_pod, armor) = (
        "spec.securityContext.seccompProfile",
        "spec.containers[0].securityContext.appArmorProfile",
    );
    let local = json!({"type": "Localhost", "localhostProfile": "a"});
    let of_c = format!("{ARMOR}c");
    for (key, said, field, profile, expected) in [
        (
            SECCOMP,
            "unconfined",
            "seccompProfile",
            json!({"type": "RuntimeDefault"}),
            Some(format!(
                "{of_pod}.type: Forbidden: seccomp \
            type in annotation and field must match"
            )),
        ),
        (
            SECCOMP,
            "localhost/b",
            "seccompProfile",
            local.clone(),
            Some(format!(
                "{of_pod}.localhostProfile: Forbidden: seccomp \
            profile in annotation and field must match"
            )),
        ),
        (SECCOMP, "localhost/a", "seccompProfile", local.clone(), None),
        (
            of_c.as_str(),
            "unconfined",
            "appArmorProfile",
            local.clone(),
            Some(format!(
                "{armor}.type: Forbidden: apparmor type \
            in annotation and field must match"
            )),
        ),
        (of_c.as_str(), "localhost/a", "appArmorProfile", local, None),
    ] {
        let told = new(
            "",
            "pods",
            pod(&json!({key: said}), &json!({"securityContext": {field: profile}})),
        );
        assert_eq!(told, expected.into_iter().collect::<Vec<_>>(), "{key} {said}");
    }
}

#[test]
fn apparmor_is_told_in_both_ways() {
    let kind = find("", "v1", "pods").unwrap();
    let made = |annotations: Value, whole: Value, own: Value| {
        let containers = json!([{"name": "c", "image": "i", "securityContext": {"appArmorProfile": own}}]);
        let spec = json!({"containers": containers, "securityContext": {"appArmorProfile": whole}});
        let mut pod = pod(&annotations, &spec);
        crate::kinds::default(kind, &mut pod);
        kind.strategy.prepare_create(&mut pod);
        let said = pod["metadata"]["annotations"][format!("{ARMOR}c")].clone();
        (
            said,
            pod["spec"]["containers"][0]["securityContext"]["appArmorProfile"].clone(),
        )
    };
    let key = format!("{ARMOR}c");
    let (default, free) = (json!({"type": "RuntimeDefault"}), json!({"type": "Unconfined"}));
    let local = json!({"type": "Localhost", "localhostProfile": "a"});
    let none = Value::Null;
    for (annotations, whole, own, expected) in [
        (json!({}), &none, &none, (none.clone(), none.clone())),
        (
            json!({}),
            &default,
            &none,
            (json!("runtime/default"), none.clone()),
        ),
        (json!({}), &default, &free, (json!("unconfined"), free.clone())),
        (json!({}), &none, &local, (json!("localhost/a"), local.clone())),
        (
            json!({&key: "localhost/a"}),
            &none,
            &none,
            (json!("localhost/a"), local.clone()),
        ),
        // The whole pod has it.
        (
            json!({&key: "unconfined"}),
            &free,
            &none,
            (json!("unconfined"), none.clone()),
        ),
        (json!({&key: "x"}), &none, &none, (json!("x"), none.clone())),
    ] {
        assert_eq!(
            made(annotations, whole.clone(), own.clone()),
            expected,
            "{whole} {own}"
        );
    }
}
