//! What holds for all objects: sets are sets, applies are idempotent, and nobody loses what is theirs.

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::apply::{Operation, Set, decode};

fn set() -> impl Strategy<Value = Set> {
    let step = prop_oneof![
        "[a-c]".prop_map(|name| format!("f:{name}")),
        "[ab]".prop_map(|name| format!("k:{{\"name\":\"{name}\"}}")),
        (0..3).prop_map(|value| format!("v:{value}")),
    ];
    let leaf = Just(json!({}));
    let tree = leaf.prop_recursive(4, 24, 4, move |inner| {
        (
            proptest::collection::btree_map(step.clone(), inner, 0..4),
            any::<bool>(),
        )
            .prop_map(|(steps, member)| {
                let mut map: Map<String, Value> = steps.into_iter().collect();
                if member && !map.is_empty() {
                    map.insert(".".to_owned(), json!({}));
                }
                Value::Object(map)
            })
    });
    tree.prop_map(|mut value| {
        value.as_object_mut().unwrap().remove(".");
        Set::from_json(&value, true).unwrap()
    })
}

/// A config map with data, labels and finalizers out of few names, so that managers meet.
fn config() -> impl Strategy<Value = Value> {
    let pairs = || proptest::collection::btree_map("[a-d]", "[12]", 0..4);
    (pairs(), pairs(), proptest::collection::btree_set("[a-c]", 0..3)).prop_map(|(data, labels, finalizers)| {
        json!({"metadata": {"name": "c", "labels": labels, "finalizers": finalizers}, "data": data})
    })
}

/// A pod with lists by key in a list by key.
fn pod() -> impl Strategy<Value = Value> {
    let env = proptest::collection::btree_map("[A-C]", "[12]", 0..3).prop_map(|env| {
        env.into_iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect::<Vec<_>>()
    });
    let ports = proptest::collection::btree_set(1..4u16, 0..3).prop_map(|ports| {
        ports
            .into_iter()
            .map(|port| json!({"containerPort": port}))
            .collect::<Vec<_>>()
    });
    let body = (env, ports, proptest::option::of("[xy]"));
    proptest::collection::btree_map("[a-c]", body, 1..4)
        .prop_map(|containers| {
            containers
                .into_iter()
                .map(|(name, (env, ports, image))| {
                    json!({"name": name, "env": env, "ports": ports, "image": image.unwrap_or_default()})
                })
                .collect::<Vec<_>>()
        })
        .prop_shuffle()
        .prop_map(|containers| json!({"metadata": {"name": "p"}, "spec": {"containers": containers}}))
}

#[derive(Debug, Clone)]
enum Step {
    Apply(u8, Value, bool),
    Update(u8, Value),
}

fn steps(objects: impl Strategy<Value = Value> + Clone + 'static) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..3u8, objects.clone(), any::<bool>())
            .prop_map(|(who, config, force)| Step::Apply(who, config, force)),
        (0..3u8, objects).prop_map(|(who, new)| Step::Update(who, new)),
    ];
    proptest::collection::vec(step, 1..8)
}

/// Every path that an applier owns is there, as a field of the object.
fn run(kind: &Kind, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut live: Option<Value> = None;
    let mut managers: Vec<Entry> = Vec::new();
    for step in steps {
        match step {
            Step::Update(who, mut new) => {
                new["apiVersion"] = kind.version().into();
                new["kind"] = kind.2.into();
                kind.ty().conform(&mut new).unwrap();
                managers = kind.update(&format!("u{who}"), live.as_ref(), &new, &managers);
                live = Some(new);
            }
            Step::Apply(who, config, force) => {
                let name = format!("a{who}");
                let before = live.clone().unwrap_or_else(|| kind.empty());
                let Ok(applied) = kind.apply(&name, &before, &config, &managers, force) else {
                    prop_assert!(!force, "a forced apply never conflicts");
                    continue;
                };
                // What it says is so, and saying it again changes nothing.
                let again = kind
                    .apply(&name, &applied.object, &config, &applied.managers, false)
                    .map_err(|error| TestCaseError::fail(format!("again: {error}")))?;
                prop_assert_eq!(&again, &applied);
                // Without force, other managers keep all that is still there.
                if !force {
                    for entry in managers
                        .iter()
                        .filter(|entry| entry.operation == Operation::Apply && entry.manager != name)
                    {
                        let after = applied.managers.iter().find(|other| other.is(entry));
                        prop_assert_eq!(after.map(|after| &after.fields), Some(&entry.fields));
                    }
                }
                live = Some(applied.object);
                managers = applied.managers;
            }
        }
        for entry in &managers {
            prop_assert!(!entry.fields.is_empty(), "a manager of nothing");
            let once = managers.iter().filter(|other| other.is(entry)).count();
            prop_assert_eq!(once, 1, "a manager twice");
        }
        prop_assert_eq!(
            &decode(&encode(managers.clone()), true).unwrap().len(),
            &managers.len()
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn sets_are_sets(a in set(), b in set()) {
        prop_assert_eq!(&Set::from_json(&a.clone().into_json(), true).unwrap(), &a);
        let mut union = a.clone();
        union.extend(b.clone());
        prop_assert_eq!(&a.intersection(&union), &a);
        let mut rest = a.clone();
        rest.subtract(&b);
        prop_assert!(rest.intersection(&b).is_empty());
        let mut again = rest.clone();
        again.extend(a.intersection(&b));
        prop_assert_eq!(&again, &a);
        let mut none = a.clone();
        none.subtract(&a);
        prop_assert!(none.is_empty());
    }

    #[test]
    fn config_maps_hold(steps in steps(config().boxed())) {
        run(&CONFIG_MAP, steps)?;
    }

    #[test]
    fn pods_hold(steps in steps(pod().boxed())) {
        run(&POD, steps)?;
    }

    #[test]
    fn no_managers_panic(value in set(), text in ".{0,20}") {
        let mut fields = value.into_json();
        fields[text] = json!({});
        let _ = decode(&json!([{"operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields}]), true);
    }
}
