//! ConfigMaps and Secrets that are marked immutable.

use serde_json::{Value, json};

use crate::cluster::Cluster;

/// ConfigMap and Secret: should be immutable if `immutable` field is set.
#[test]
fn what_is_marked_immutable_keeps_its_data() {
    const WHY: &str = "field is immutable when `immutable` is set";
    let cluster = Cluster::start();
    for (plural, kind, one, other) in [
        ("configmaps", "ConfigMap", "1", "2"),
        ("secrets", "Secret", "MQ==", "Mg=="),
    ] {
        let all = format!("/api/v1/namespaces/default/{plural}");
        let path = format!("{all}/i");
        let put = |change: &dyn Fn(&mut Value)| {
            let mut object = cluster.get(&path).1;
            change(&mut object);
            let (code, answer) = cluster.put(&path, &object);
            (code, answer["message"].as_str().unwrap_or_default().to_owned())
        };
        let made = json!({"metadata": {"name": "i"}, "data": {"k": one}});
        assert_eq!(cluster.post(&all, &made).0, 201);
        // Until it is marked, it changes.
        let changed = put(&|object| object["data"]["k"] = other.into());
        assert_eq!(changed, (200, String::new()));
        let marked = put(&|object| object["immutable"] = true.into());
        assert_eq!(marked, (200, String::new()));
        for (field, change) in [
            (
                "data",
                &(|object: &mut Value| object["data"]["k"] = one.into()) as &dyn Fn(&mut Value),
            ),
            ("immutable", &|object| object["immutable"] = false.into()),
            ("immutable", &|object| {
                drop(object.as_object_mut().unwrap().remove("immutable"));
            }),
        ] {
            let refused = format!("{kind} \"i\" is invalid: {field}: Forbidden: {WHY}");
            assert_eq!(put(change), (422, refused));
        }
        // The metadata are not what is marked.
        let labelled = put(&|object| object["metadata"]["labels"] = json!({"a": "b"}));
        assert_eq!(labelled, (200, String::new()));
        assert_eq!(cluster.get(&path).1["data"]["k"], other);
        assert_eq!(cluster.delete(&path, &Value::Null).0, 200);
    }
}
