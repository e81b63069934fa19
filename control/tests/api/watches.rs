//! WATCH: events, selectors, initial events, bookmarks, resuming.

use std::time::Duration;

use futures::{AsyncBufReadExt, TryStreamExt};
use http::Request;
use serde_json::{Value, json};

use crate::cluster::{Cluster, MAPS, config_map, runtime};

/// Reads so many events of a watch; fails if they do not come.
fn events(cluster: &Cluster, query: &str, count: usize, meanwhile: impl FnOnce() + Send) -> Vec<Value> {
    std::thread::scope(|scope| {
        let path = format!("{MAPS}?watch=true&{query}");
        let reader = scope.spawn(move || {
            runtime().block_on(async {
                let request = Request::get(path).body(Vec::new()).unwrap();
                let lines = cluster
                    .client()
                    .await
                    .request_stream(request)
                    .await
                    .unwrap()
                    .lines();
                let read = async {
                    let mut lines = std::pin::pin!(lines);
                    let mut events = Vec::new();
                    while events.len() < count {
                        match lines.try_next().await.unwrap() {
                            Some(line) => events.push(serde_json::from_str(&line).unwrap()),
                            None => break,
                        }
                    }
                    events
                };
                tokio::time::timeout(Duration::from_secs(10), read)
                    .await
                    .expect("events in time")
            })
        });
        std::thread::sleep(Duration::from_millis(300));
        meanwhile();
        reader.join().unwrap()
    })
}

fn short(events: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events
        .iter()
        .map(|event| (text(&event["type"]), text(&event["object"]["metadata"]["name"])))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(one, two)| ((*one).to_owned(), (*two).to_owned()))
        .collect()
}

#[test]
fn objects_enter_and_leave_a_selection() {
    let cluster = Cluster::start();
    let (_, list) = cluster.get(MAPS);
    let from = list["metadata"]["resourceVersion"].as_str().unwrap();
    let query = format!("resourceVersion={from}&labelSelector=app%3Dtest");
    let seen = events(&cluster, &query, 5, || {
        let a = format!("{MAPS}/a");
        cluster.post(MAPS, &config_map("a", "1"));
        cluster.patch(&a, "merge-patch+json", &json!({"data": {"k": "2"}}));
        cluster.patch(
            &a,
            "merge-patch+json",
            &json!({"metadata": {"labels": {"app": "other"}}}),
        );
        cluster.patch(&a, "merge-patch+json", &json!({"data": {"k": "unseen"}}));
        cluster.patch(
            &a,
            "merge-patch+json",
            &json!({"metadata": {"labels": {"app": "test"}}}),
        );
        cluster.delete(&a, &Value::Null);
    });
    assert_eq!(
        short(&seen),
        pairs(&[
            ("ADDED", "a"),
            ("MODIFIED", "a"),
            ("DELETED", "a"),
            ("ADDED", "a"),
            ("DELETED", "a")
        ])
    );
    assert_eq!(seen[2]["object"]["data"]["k"], "2", "the last selected state");
    let revisions: Vec<u64> = seen
        .iter()
        .map(|event| {
            event["object"]["metadata"]["resourceVersion"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert!(revisions.is_sorted(), "{revisions:?}");
    // The same events come again from the same revision.
    let again = events(&cluster, &query, 5, || {});
    assert_eq!(again, seen);
}

#[test]
fn watches_at_once_see_what_each_selects() {
    let cluster = Cluster::start();
    let from = revision(&json!({ "object": cluster.get(MAPS).1 }));
    let watch = |selector: &str, count: usize| {
        let query = format!("resourceVersion={from}&labelSelector={selector}");
        short(&events(&cluster, &query, count, || {}))
    };
    let (a, b, both) = std::thread::scope(|scope| {
        let a = scope.spawn(|| watch("app%3Da", 4));
        let b = scope.spawn(|| watch("app%3Db", 3));
        let both = scope.spawn(|| watch("app%20in%20%28a%2Cb%29", 7));
        // Nobody sees the one of "c". Every other event is somebody's, so one too many would take the place of another.
        for name in ["c", "a", "b"] {
            let mut map = config_map(name, "1");
            map["metadata"]["labels"]["app"] = name.into();
            cluster.post(MAPS, &map);
        }
        for (name, data) in [("c", "2"), ("a", "2"), ("b", "2"), ("a", "3")] {
            let patch = json!({"data": {"k": data}});
            cluster.patch(&format!("{MAPS}/{name}"), "merge-patch+json", &patch);
        }
        for name in ["c", "b", "a"] {
            cluster.delete(&format!("{MAPS}/{name}"), &Value::Null);
        }
        (a.join().unwrap(), b.join().unwrap(), both.join().unwrap())
    });
    let all = [
        ("ADDED", "a"),
        ("ADDED", "b"),
        ("MODIFIED", "a"),
        ("MODIFIED", "b"),
        ("MODIFIED", "a"),
        ("DELETED", "b"),
        ("DELETED", "a"),
    ];
    let of = |name: &str| {
        pairs(&all)
            .into_iter()
            .filter(|(_, of)| of == name)
            .collect::<Vec<_>>()
    };
    assert_eq!((a, b, both), (of("a"), of("b"), pairs(&all)));
}

#[test]
fn initial_events_end_with_a_bookmark() {
    let cluster = Cluster::start();
    cluster.post(MAPS, &config_map("a", "1"));
    cluster.post(MAPS, &config_map("b", "1"));
    let query =
        "labelSelector=app&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let seen = events(&cluster, query, 4, || {
        cluster.post(MAPS, &config_map("c", "1"));
    });
    assert_eq!(
        short(&seen),
        pairs(&[("ADDED", "a"), ("ADDED", "b"), ("BOOKMARK", ""), ("ADDED", "c")])
    );
    assert_eq!(
        seen[2]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    let (code, _) = cluster.get(&format!("{MAPS}?watch=true&sendInitialEvents=true"));
    assert_eq!(code, 422);
    let seen = events(&cluster, "labelSelector=app&timeoutSeconds=1", 99, || {});
    assert_eq!(seen.len(), 3, "the watch ends by itself");
}

#[test]
fn bookmarks_come_to_who_asks_for_them_also_in_short_watches() {
    let cluster = Cluster::start();
    cluster.post(MAPS, &config_map("a", "1"));
    // Two seconds before its end.
    let seen = events(
        &cluster,
        "labelSelector=none&allowWatchBookmarks=true&timeoutSeconds=3",
        1,
        || {},
    );
    assert_eq!(short(&seen), pairs(&[("BOOKMARK", "")]));
    let query = "labelSelector=app&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1";
    let seen = events(&cluster, query, 99, || {});
    assert_eq!(short(&seen), pairs(&[("ADDED", "a")]));
}

#[test]
fn a_watch_of_tables_has_rows() {
    let cluster = Cluster::start();
    cluster.post(MAPS, &config_map("a", "1"));
    let child = cluster.kubectl(&["get", "configmaps", "-l", "app", "-w", "--request-timeout=1s"]);
    let lines: Vec<_> = child.out.lines().collect();
    assert!(
        lines[0].starts_with("NAME") && lines[1].starts_with("a "),
        "{lines:?}"
    );
}

fn revision(event: &Value) -> String {
    event["object"]["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_watch_goes_on_where_another_one_ended() {
    let cluster = Cluster::start();
    let a = format!("{MAPS}/a");
    let (_, created) = cluster.post(MAPS, &config_map("a", "1"));
    let from = created["metadata"]["resourceVersion"].as_str().unwrap();
    cluster.patch(&a, "merge-patch+json", &json!({"data": {"k": "2"}}));
    cluster.patch(&a, "merge-patch+json", &json!({"data": {"k": "3"}}));
    cluster.delete(&a, &Value::Null);
    // From the creation on: everything that came after it.
    let all = events(
        &cluster,
        &format!("labelSelector=app&resourceVersion={from}"),
        3,
        || {},
    );
    assert_eq!(
        short(&all),
        pairs(&[("MODIFIED", "a"), ("MODIFIED", "a"), ("DELETED", "a")])
    );
    assert_eq!(all[1]["object"]["data"]["k"], "3");
    // From what was seen last on, while more happens.
    let query = format!("labelSelector=app&resourceVersion={}", revision(&all[0]));
    let rest = events(&cluster, &query, 3, || {
        cluster.post(MAPS, &config_map("b", "1"));
    });
    assert_eq!(rest[..2], all[1..]);
    assert_eq!(short(&rest[2..]), pairs(&[("ADDED", "b")]));
}

#[test]
fn concurrent_watches_see_one_order() {
    let cluster = Cluster::start();
    let from = cluster.get(MAPS).1["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let busy = |number: usize| {
        for round in 0..10 {
            let name = format!("w{number}-{round}");
            cluster.post(MAPS, &config_map(&name, "1"));
            let path = format!("{MAPS}/{name}");
            cluster.patch(&path, "merge-patch+json", &json!({"data": {"k": "2"}}));
            if round % 2 == 0 {
                cluster.delete(&path, &Value::Null);
            }
        }
    };
    let query = format!("labelSelector=app&resourceVersion={from}");
    let count = 3 * (10 + 10 + 5);
    let seen: Vec<Vec<String>> = std::thread::scope(|scope| {
        let watches: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| events(&cluster, &query, count, || {})))
            .collect();
        for number in 0..3 {
            scope.spawn(move || busy(number));
        }
        let done = watches.into_iter().map(|watch| watch.join().unwrap());
        done.map(|events| events.iter().map(revision).collect()).collect()
    });
    for one in &seen {
        assert_eq!(one.len(), count);
        assert_eq!(*one, seen[0]);
    }
    // So do watches that begin at an event of the first one.
    std::thread::scope(|scope| {
        for at in (0..count - 1).step_by(10) {
            let (cluster, first) = (&cluster, &seen[0]);
            scope.spawn(move || {
                let query = format!("labelSelector=app&resourceVersion={}", first[at]);
                let rest = events(cluster, &query, count - at - 1, || {});
                let rest: Vec<_> = rest.iter().map(revision).collect();
                assert_eq!(rest, first[at + 1..], "from event {at} on");
            });
        }
    });
}
