//! Events in both groups, as the conformance suite tries them.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const CORE: &str = "/api/v1/namespaces/default/events";
const NEW: &str = "/apis/events.k8s.io/v1/namespaces/default/events";
const TIME: &str = "2024-01-01T00:00:00.000000Z";

fn core(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"testevent-set": "true"}}, "message": "This is a test event", "reason": "Test",
        "type": "Normal", "count": 1, "involvedObject": {"namespace": "default"},
    })
}

fn new(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"testevent-set": "true"}}, "note": "This is a test event", "reason": "Test",
        "type": "Normal", "action": "Do", "reportingController": "test-controller", "reportingInstance": "test-node",
        "eventTime": TIME, "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
    })
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

/// Fetched, patched, updated with a series, listed everywhere and deleted.
fn lives(cluster: &Cluster, path: &str, all: &str, event: &Value, note: &str) {
    let (code, created) = cluster.post(path, event);
    assert_eq!(code, 201, "{created}");
    let one = format!("{path}/e");
    let selected = format!("{all}?labelSelector=testevent-set");
    assert_eq!(names(&cluster.get(&selected).1), ["e"]);
    let series = json!({"count": 2, "lastObservedTime": "2024-01-01T00:00:01.000000Z"});
    let (code, patched) = cluster.patch(&one, "strategic-merge-patch+json", &json!({"series": series}));
    assert_eq!((code, &patched["series"]), (200, &series), "{patched}");
    let mut update = cluster.get(&one).1;
    assert_eq!(update["series"], series);
    assert_eq!(update[note], "This is a test event");
    update["series"]["count"] = 100.into();
    let (code, updated) = cluster.put(&one, &update);
    assert_eq!(
        (code, &updated["series"]["count"]),
        (200, &json!(100)),
        "{updated}"
    );
    assert_eq!(cluster.get(&one).1, updated, "and so it is read again");
    assert_eq!(cluster.delete(&one, &Value::Null).0, 200);
    assert!(names(&cluster.get(&selected).1).is_empty());
}

#[test]
fn an_event_lives_in_the_core_group() {
    let cluster = Cluster::start();
    lives(&cluster, CORE, "/api/v1/events", &core("e"), "message");
    // In the core group the message may change.
    cluster.post(CORE, &core("m"));
    let patch = json!({"message": "a patch"});
    let (code, patched) = cluster.patch(&format!("{CORE}/m"), "strategic-merge-patch+json", &patch);
    assert_eq!((code, patched["message"].as_str()), (200, Some("a patch")));
    assert_eq!(cluster.get(&format!("{CORE}/m")).1, patched);
    // Who says it is selectable: the component of `source`, or who reports by the newer field.
    let mut of = core("of");
    of["source"] = json!({"component": "a-test"});
    assert_eq!(cluster.post(CORE, &of).0, 201);
    let mut by = core("by");
    by["reportingComponent"] = "a-test".into();
    assert_eq!(cluster.post(CORE, &by).0, 201);
    let source = |name: &str| cluster.get(&format!("{CORE}?fieldSelector=source%3D{name}")).1;
    assert_eq!(names(&source("a-test")), ["by", "of"]);
    assert!(names(&source("another")).is_empty());
}

#[test]
fn an_event_lives_in_its_own_group() {
    let mut cluster = Cluster::start();
    lives(&cluster, NEW, "/apis/events.k8s.io/v1/events", &new("e"), "note");
    cluster.post(NEW, &new("n"));
    let (code, refused) = cluster.patch(&format!("{NEW}/n"), "merge-patch+json", &json!({"note": "x"}));
    assert_eq!(code, 422);
    assert_eq!(
        refused["message"],
        "Event.events.k8s.io \"n\" is invalid: message: Invalid value: \"x\": field is immutable"
    );
    // One storage, two forms; each has its own names for what can be selected.
    assert_eq!(cluster.get(&format!("{CORE}/n")).1["involvedObject"]["name"], "p");
    for (path, field) in [(CORE, "involvedObject.name"), (NEW, "regarding.name")] {
        let (code, list) = cluster.get(&format!("{path}?fieldSelector={field}%3Dp,reason%3DTest"));
        assert_eq!((code, names(&list)), (200, vec!["n"]), "{field}");
    }
    for (controller, found) in [("test-controller", vec!["n"]), ("another", vec![])] {
        let path = format!("{NEW}?fieldSelector=reportingController%3D{controller}");
        let (code, list) = cluster.get(&path);
        assert_eq!((code, names(&list)), (200, found), "{controller}");
    }
    for (path, field) in [
        (CORE, "regarding.name"),
        (NEW, "involvedObject.name"),
        (NEW, "source"),
    ] {
        let (code, status) = cluster.get(&format!("{path}?fieldSelector={field}%3Dp"));
        let expected = format!("field label not supported: {field}");
        assert_eq!((code, status["message"].as_str()), (400, Some(&expected[..])));
    }
    // Read again from the store, where it has the form in which it came.
    cluster.stop();
    cluster.resume();
    let selected = format!("{CORE}?fieldSelector=involvedObject.name%3Dp");
    assert_eq!(names(&cluster.get(&selected).1), ["n"]);
}

#[test]
fn collections_of_events_are_deleted() {
    let cluster = Cluster::start();
    for (path, event) in [(CORE, core as fn(&str) -> Value), (NEW, new)] {
        for name in ["a", "b", "c"] {
            assert_eq!(cluster.post(path, &event(name)).0, 201);
        }
        let selected = format!("{path}?labelSelector=testevent-set%3Dtrue");
        assert_eq!(names(&cluster.get(&selected).1), ["a", "b", "c"]);
        assert_eq!(cluster.delete(&selected, &Value::Null).0, 200);
        assert!(names(&cluster.get(&selected).1).is_empty());
    }
}
