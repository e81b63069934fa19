use keelson_api::status::FieldError;
use serde_json::{Value, json};

use super::{drop_known, is_same};
use crate::kinds::{custom, find};

fn spec(spec: &Value) -> Value {
    json!({"metadata": {"name": "a"}, "spec": spec})
}

#[test]
fn fields_are_looked_up_as_they_are_written() {
    let old = json!({
        "metadata": {"labels": {"a.b/c": "x", "a": "x"}},
        "spec": {
            "list": [{"name": "a"}, {"name": "b"}],
            "dotted.name": {"x": 1},
            "open[0]": 1,
            "p": {"q": 1}, "p.q": 1,
        },
    });
    let changed = |pointer: &str, to: Value| {
        let mut new = old.clone();
        *new.pointer_mut(pointer).unwrap() = to;
        new
    };
    for (field, pointer) in [
        ("metadata.labels[a.b/c]", "/metadata/labels/a.b~1c"),
        ("spec.list[1].name", "/spec/list/1/name"),
        ("spec.list[1]", "/spec/list/1/name"),
        ("spec", "/spec/list/1/name"),
        (".spec.list", "/spec/list/1/name"),
        ("spec.dotted.name.x", "/spec/dotted.name/x"),
        ("spec[dotted.name].x", "/spec/dotted.name/x"),
        ("spec.open[0]", "/spec/open[0]"),
        // Either could be meant.
        ("spec.p.q", "/spec/p/q"),
        ("spec.p.q", "/spec/p.q"),
    ] {
        assert!(is_same(field, &old, &old), "{field}");
        let new = changed(pointer, json!(["else"]));
        assert!(!is_same(field, &old, &new), "{field}");
    }
    let new = changed("/spec/list/0/name", json!("c"));
    assert!(is_same("spec.list[1].name", &old, &new));
    // What is missing in both has not changed; what comes or goes has.
    assert!(is_same("spec.list[0].missing", &old, &new));
    let new = changed("/spec/list", json!([{"name": "a", "missing": 1}]));
    assert!(!is_same("spec.list[0].missing", &old, &new));
    assert!(!is_same("spec.list[1].name", &old, &new));
    let many = "spec".to_owned() + &".x".repeat(300);
    for nowhere in [
        "",
        "spec.list[7].name",
        "spec.list[x]",
        "spec.list.x",
        "spec.missing.below",
        "spec.missing...",
        "spec.dotted.name.x.y",
        &many,
    ] {
        assert!(is_same(nowhere, &old, &old), "{nowhere}");
        let new = changed("/spec", json!({"list": [], "dotted.name": {"x": {}}}));
        assert!(!is_same(nowhere, &old, &new), "{nowhere}");
    }
}

/// What is left of equal errors about these fields.
fn left(fields: &[&str], unfinished: bool, old: &Value, new: &Value) -> Vec<String> {
    let errors = fields.iter().map(|field| FieldError::forbidden(*field, ""));
    let mut errors: Vec<FieldError> = errors.collect();
    if unfinished {
        let last = errors.pop().map(FieldError::unfinished);
        errors.extend(last);
    }
    let before = errors.clone();
    drop_known(&mut errors, &before, old, new);
    errors.into_iter().map(|error| error.field).collect()
}

#[test]
fn errors_about_what_has_changed_stay() {
    let (old, new) = (spec(&json!({"a": 1, "b": 1})), spec(&json!({"a": 1, "b": 2})));
    let fields = ["spec.a", "spec.b", "somewhere[else]", "spec.c"];
    assert_eq!(left(&fields, false, &old, &new), ["spec.b", "somewhere[else]"]);
    assert_eq!(left(&fields, true, &old, &new), fields);
    // Nothing but the metadata has changed.
    let mut labelled = old.clone();
    labelled["metadata"] = json!({"name": "a", "labels": {"x": "y"}, "resourceVersion": "2"});
    for unfinished in [false, true] {
        assert_eq!(left(&fields, unfinished, &old, &labelled), [""; 0]);
        assert_eq!(
            left(&["metadata.labels", "spec"], unfinished, &old, &labelled),
            ["metadata.labels"]
        );
    }
    // Others are none of this.
    let mut errors = vec![FieldError::forbidden("spec.a", "")];
    drop_known(&mut errors, &[FieldError::forbidden("spec.a", "x")], &old, &old);
    assert_eq!(errors.len(), 1);
}

/// How many complaints there are about an update of an object of this schema.
fn complaints(schema: &Value, old: Value, new: Value) -> usize {
    let definition = json!({"metadata": {"name": "widgets.example.com"}, "spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": {"type": "object", "properties": {"x": schema}}}}}}],
    }});
    let kind = &custom::kinds(&definition)[0];
    let [old, new] = [old, new].map(|x| {
        json!({"apiVersion": "example.com/v1", "kind": "Widget",
            "metadata": {"name": "a", "namespace": "b", "uid": "1", "resourceVersion": "1",
                "creationTimestamp": "2024-01-01T00:00:00Z"},
            "spec": {"x": x}})
    });
    super::validate_update(kind, None, &old, &new).len()
}

#[test]
fn what_nobody_has_looked_at_is_not_let_pass() {
    // The two differ beyond what an error shows of them.
    let text = |end: &str| Value::from("a".repeat(5000) + end);
    let numbers = json!({"type": "string", "pattern": "^[0-9]*$"});
    assert_eq!(complaints(&numbers, text("b"), text("b")), 0);
    assert_eq!(complaints(&numbers, text("b"), text("c")), 1);
    // There are more errors than are told.
    let list = |last: &str| {
        let mut list = vec![json!(""); 300];
        list.push(last.into());
        Value::from(list)
    };
    let schema = json!({"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 2}});
    assert_eq!(complaints(&schema, list("aa"), list("aa")), 0);
    assert_eq!(complaints(&schema, list("aa"), list("aaa")), 200);
    // Not all is looked at.
    let dear = json!({"type": "string", "pattern": "[ab]*a[ab]{1000}$"});
    let text = |end: &str| Value::from("ab".repeat(500_000) + end);
    assert_eq!(complaints(&dear, text("a"), text("a")), 0);
    assert_eq!(complaints(&dear, text("a"), text("b")), 1);
}

#[test]
fn annotations_of_templates_are_found() {
    let template = |annotations: Value, image: &str| {
        let template = json!({"metadata": {"annotations": annotations}, "spec": {"image": image}});
        spec(&json!({"template": template}))
    };
    let old = template(json!({"a.b/c": "x", "d": "x"}), "x");
    let new = template(json!({"a.b/c": "y", "d": "x"}), "y");
    for (field, same) in [
        ("spec.template.annotations[d]", true),
        ("spec.template.annotations.d", true),
        ("spec.template.annotations[a.b/c]", false),
        ("spec.template.annotations.a.b/c", false),
        ("spec.template.annotations[e]", false),
        ("spec.template.others[d]", false),
    ] {
        assert_eq!(is_same(field, &old, &new), same, "{field}");
    }
}

/// Complaints about a change of an object of a built-in kind at a pointer, before and after it.
fn told(
    (group, plural): (&str, &str),
    object: &Value,
    part: Option<&str>,
    (pointer, to): (&str, Value),
) -> (usize, Vec<String>) {
    let kind = find(group, "v1", plural).unwrap();
    let mut old = object.clone();
    old["kind"] = json!(&*kind.kind);
    let fixed = json!({"name": "a", "namespace": "b", "uid": "1", "resourceVersion": "1",
        "creationTimestamp": "2024-01-01T00:00:00Z", "finalizers": ["a.b/c"], "labels": {"l": "x"}});
    for (field, value) in fixed.as_object().unwrap() {
        old["metadata"][field] = value.clone();
    }
    crate::kinds::default(kind, &mut old);
    let mut new = old.clone();
    *new.pointer_mut(pointer)
        .unwrap_or_else(|| panic!("{plural}{pointer}")) = to;
    let errors = super::validate_update(kind, part, &old, &new);
    let errors = errors.iter().map(ToString::to_string).collect();
    (kind.strategy.validate_create(&old).len(), errors)
}

const COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// A workload whose template has this spec besides a container, and a bad annotation if it is `costly`.
fn workload(template: &Value, costly: bool) -> Value {
    let mut pod = json!({"containers": [{"name": "c", "image": "i"}]});
    for (field, value) in template.as_object().unwrap() {
        pod[field] = value.clone();
    }
    let mut metadata = json!({"labels": {"a": "b"}});
    if costly {
        metadata["annotations"] = json!({COST: "+10"});
    }
    json!({"metadata": {}, "spec": {"replicas": 1, "serviceName": "s", "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": metadata, "spec": pod}}})
}

/// Requests of a container: of whole pages, or not.
fn pages(amount: &str) -> Value {
    json!({"memory": "1Mi", "hugepages-2Mi": amount})
}

fn required(value: &str) -> Value {
    let expression = json!({"key": "k", "operator": "In", "values": [value]});
    json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
        {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}})
}

/// What later rules would have refused hinders no rollout, no label and no deletion.
#[test]
fn what_was_let_in_may_change_elsewhere() {
    let (pods, sets) = (("", "pods"), ("apps", "statefulsets"));
    let (deployments, budgets) = (("apps", "deployments"), ("policy", "poddisruptionbudgets"));
    let pod = json!({
        "metadata": {"annotations": {
            COST: "+10",
            "container.apparmor.security.beta.kubernetes.io/x": "unconfined",
            "seccomp.security.alpha.kubernetes.io/pod": "x",
        }},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Pending", "message": "x"},
    });
    let mut set = workload(&json!({}), true);
    set["spec"]["updateStrategy"] = json!({"type": "OnDelete", "rollingUpdate": {"partition": 1}});
    let budget =
        json!({"metadata": {}, "spec": {"minAvailable": "150%", "selector": {"matchLabels": {"a": "b"}}}});
    let sidecar = workload(
        &json!({"initContainers": [{"name": "n", "image": "i", "restartPolicy": ""}]}),
        false,
    );
    let resources = json!({"limits": pages("3Mi"), "requests": pages("3Mi")});
    let odd = workload(
        &json!({"containers": [{"name": "c", "image": "i", "resources": resources}], "affinity": required("-")}),
        true,
    );
    let image = "/spec/template/spec/containers/0/image";
    for (kind, object, part, change, complaints) in [
        (pods, &pod, None, ("/metadata/labels/l", json!("y")), 3),
        (pods, &pod, None, ("/metadata/finalizers", json!([])), 3),
        (pods, &pod, None, ("/spec/containers/0/image", json!("j")), 3),
        (pods, &pod, Some("status"), ("/status/message", json!("y")), 3),
        (sets, &set, None, ("/spec/replicas", json!(2)), 2),
        (sets, &set, None, (image, json!("j")), 2),
        (budgets, &budget, None, ("/metadata/labels/l", json!("y")), 1),
        (
            budgets,
            &budget,
            None,
            ("/spec/selector/matchLabels/a", json!("c")),
            1,
        ),
        (deployments, &sidecar, None, ("/spec/replicas", json!(2)), 1),
        (deployments, &sidecar, None, (image, json!("j")), 1),
        (deployments, &odd, None, ("/metadata/finalizers", json!([])), 4),
        (deployments, &odd, None, (image, json!("j")), 4),
    ] {
        let expected: (usize, Vec<String>) = (complaints, Vec::new());
        assert_eq!(
            told(kind, object, part, change.clone()),
            expected,
            "{kind:?} {change:?}"
        );
    }
    // Other bad values are bad.
    for (kind, object, change) in [
        (
            sets,
            &set,
            ("/spec/updateStrategy/rollingUpdate/partition", json!(2)),
        ),
        (budgets, &budget, ("/spec/minAvailable", json!("160%"))),
        (
            deployments,
            &sidecar,
            ("/spec/template/spec/initContainers/0/restartPolicy", json!("x")),
        ),
    ] {
        let (_, errors) = told(kind, object, None, change.clone());
        assert_eq!(errors.len(), 1, "{change:?} {errors:?}");
    }
    // Of some sorts upstream takes others, where there was one.
    let template = "/spec/template/metadata/annotations/controller.kubernetes.io~1pod-deletion-cost";
    let term = "/spec/template/spec/affinity";
    let requests = "/spec/template/spec/containers/0/resources";
    let others = json!({"limits": pages("5Mi"), "requests": pages("5Mi")});
    let good = json!({"limits": pages("2Mi"), "requests": pages("2Mi")});
    let fine = workload(
        &json!({"containers": [{"name": "c", "image": "i", "resources": good}], "affinity": required("v")}),
        false,
    );
    for (pointer, to, complaints) in [(term, required("_"), 1), (requests, others, 2)] {
        let of = |object: &Value| told(deployments, object, None, (pointer, to.clone())).1;
        assert_eq!(of(&odd), [""; 0]);
        assert_eq!(of(&fine).len(), complaints, "{pointer}");
    }
    assert_eq!(told(deployments, &odd, None, (template, json!("+11"))).1, [""; 0]);
}
