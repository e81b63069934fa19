//! Arbitrary orders of requests, some at the same time.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Create {
        name: u8,
        kind: &'static str,
        port: Option<u16>,
        address: Option<u8>,
    },
    Update {
        name: u8,
        kind: &'static str,
    },
    Delete {
        name: u8,
    },
    /// Two requests at once, of which one is stored afterwards.
    Race {
        first: u8,
        second: u8,
        kind: &'static str,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let kinds = || prop::sample::select(&["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"][..]);
    prop_oneof![
        (
            0u8..8,
            kinds(),
            prop::option::of(30000u16..30006),
            prop::option::of(1u8..7)
        )
            .prop_map(|(name, kind, port, address)| Step::Create {
                name,
                kind,
                port,
                address
            }),
        (0u8..8, kinds()).prop_map(|(name, kind)| Step::Update { name, kind }),
        (0u8..8).prop_map(|name| Step::Delete { name }),
        (0u8..8, 8u8..10, kinds()).prop_map(|(first, second, kind)| Step::Race { first, second, kind }),
    ]
}

proptest! {
    /// Whatever happens in whatever order, no two Services hold the same item, and a range is never full too early.
    #[test]
    fn nothing_is_given_out_twice(steps in prop::collection::vec(step(), 1..60)) {
        let fixture = fixture(&["10.0.0.0/29"], (30000, 30005));
        let mut stored: BTreeMap<String, Value> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Create { name, kind, port, address } => {
                    let name = name.to_string();
                    if stored.contains_key(&name) { continue; }
                    let mut new = web(&name, kind);
                    if let (Some(port), "NodePort") = (port, kind) { new["spec"]["ports"][0]["nodePort"] = port.into(); }
                    if let (Some(address), true) = (address, kind != "ExternalName") {
                        new["spec"]["clusterIP"] = format!("10.0.0.{address}").into();
                    }
                    let free = stored.values().filter(|service| has_address(service)).count() < 6;
                    match fixture.store(None, new) {
                        Ok(service) => drop(stored.insert(name, service)),
                        Err(error) => prop_assert!(!free || !error.contains("serviceIP: range is full"), "{}", error),
                    }
                }
                Step::Update { name, kind } => {
                    let name = name.to_string();
                    let Some(old) = stored.get(&name).cloned() else { continue };
                    if let Ok(service) = fixture.store(Some(&old), web(&name, kind)) {
                        stored.insert(name, service);
                    }
                }
                Step::Delete { name } => {
                    let name = name.to_string();
                    fixture.remove(&name);
                    stored.remove(&name);
                }
                Step::Race { first, second, kind } => {
                    let (first, second) = (first.to_string(), second.to_string());
                    if stored.contains_key(&first) { continue; }
                    let flying = fixture.run(None, web(&second, kind), false, false);
                    if let Ok(service) = fixture.store(None, web(&first, kind)) {
                        if let Ok(flying) = &flying {
                            prop_assert!(held(flying).is_disjoint(&held(&service)));
                        }
                        stored.insert(first, service);
                    }
                    // The one under way fails in the end: settled without being stored.
                    if let Ok(mut flying) = flying {
                        let (kind, user) = (crate::admission::tests::kind("", "services"), user("x", &[]));
                        fixture.allocator.settle(&Request {
                            user: &user, operation: Operation::Create, kind: &kind, subresource: "", namespace: "a",
                            name: "x", old: None, object: Some(&mut flying), dry_run: false,
                        });
                    }
                }
            }
            let all: Vec<Item> = stored.values().flat_map(held).collect();
            let distinct: std::collections::HashSet<_> = all.iter().collect();
            prop_assert_eq!(all.len(), distinct.len(), "{:?}", stored);
        }
    }
}
