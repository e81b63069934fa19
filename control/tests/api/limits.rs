//! LimitRanges: what the conformance suite's rows describe.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const RANGES: &str = "/api/v1/namespaces/default/limitranges";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn amounts(cpu: &str, memory: &str, storage: &str) -> Value {
    json!({"cpu": cpu, "memory": memory, "ephemeral-storage": storage})
}

fn range(name: &str, min: &Value, max: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": name, "labels": {"test": name}},
        "spec": {"limits": [{
            "type": "Container", "min": min, "max": max,
            "default": amounts("500m", "500Mi", "500Gi"), "defaultRequest": amounts("100m", "200Mi", "200Gi"),
        }]},
    })
}

fn pod(name: &str, resources: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "pause", "image": "pause", "resources": resources}]},
    })
}

#[test]
fn defaults_are_applied_and_bounds_enforced() {
    let cluster = Cluster::start();
    let (min, max) = (
        amounts("50m", "100Mi", "100Gi"),
        amounts("500m", "500Mi", "500Gi"),
    );
    let (code, made) = cluster.post(RANGES, &range("limits", &min, &max));
    assert_eq!(code, 201, "{made}");
    assert_eq!(
        cluster.get(&format!("{RANGES}/limits")).1["spec"],
        range("limits", &min, &max)["spec"]
    );
    let given = |name: &str, resources: Value| {
        let (code, made) = cluster.post(PODS, &pod(name, &resources));
        assert_eq!(code, 201, "{made}");
        made["spec"]["containers"][0]["resources"].clone()
    };
    assert_eq!(
        given("plain", json!({})),
        json!({"requests": amounts("100m", "200Mi", "200Gi"), "limits": amounts("500m", "500Mi", "500Gi")})
    );
    let own = json!({"requests": {"cpu": "300m"}, "limits": {"cpu": "300m"}});
    assert_eq!(
        given("partial", own),
        json!({"requests": amounts("300m", "200Mi", "200Gi"), "limits": amounts("300m", "500Mi", "500Gi")})
    );
    let refused = |resources: Value, why: &str| {
        let (code, status) = cluster.post(PODS, &pod("bad", &resources));
        assert_eq!(code, 403, "{status}");
        let message = status["message"].as_str().unwrap();
        assert!(message.contains(why), "{message}");
    };
    refused(
        json!({"requests": amounts("10m", "50Mi", "50Gi")}),
        "minimum cpu usage per Container is 50m, but request is 10m",
    );
    refused(
        json!({"limits": amounts("600m", "600Mi", "600Gi")}),
        "maximum cpu usage per Container is 500m, but limit is 600m",
    );
    // A changed range counts from then on.
    let (_, mut live) = cluster.get(&format!("{RANGES}/limits"));
    live["spec"]["limits"][0]["min"] = amounts("9m", "49Mi", "49Gi");
    let (code, updated) = cluster.put(&format!("{RANGES}/limits"), &live);
    assert_eq!(
        (code, &updated["spec"]["limits"][0]["min"]["cpu"]),
        (200, &json!("9m"))
    );
    given("small", json!({"requests": amounts("10m", "50Mi", "50Gi")}));
    refused(
        json!({"limits": amounts("600m", "600Mi", "600Gi")}),
        "maximum cpu usage per Container is 500m, but limit is 600m",
    );
    let (code, _) = cluster.delete(&format!("{RANGES}/limits"), &Value::Null);
    assert_eq!((code, cluster.get(&format!("{RANGES}/limits")).0), (200, 404));
    given("free", json!({"limits": amounts("600m", "600Mi", "600Gi")}));
}

#[test]
fn ranges_are_listed_patched_and_deleted_by_label() {
    let cluster = Cluster::start();
    cluster.kubectl(&["create", "namespace", "other"]).ok();
    let (min, max) = (
        amounts("50m", "100Mi", "100Gi"),
        amounts("500m", "500Mi", "500Gi"),
    );
    let other = "/api/v1/namespaces/other/limitranges";
    assert_eq!(cluster.post(RANGES, &range("e2e", &min, &max)).0, 201);
    assert_eq!(cluster.post(other, &range("e2e", &min, &max)).0, 201);
    let all = "/api/v1/limitranges?labelSelector=test%3De2e";
    assert_eq!(cluster.get(all).1["items"].as_array().unwrap().len(), 2);
    let patch = json!({
        "metadata": {"labels": {"test": "patched"}},
        "spec": {"limits": [{
            "type": "Container", "min": amounts("40m", "100Mi", "100Gi"), "max": max,
            "default": amounts("500m", "500Mi", "500Gi"), "defaultRequest": amounts("100m", "200Mi", "200Gi"),
        }]},
    });
    let (code, patched) = cluster.patch(&format!("{RANGES}/e2e"), "strategic-merge-patch+json", &patch);
    assert_eq!(
        (code, &patched["metadata"]["labels"]["test"]),
        (200, &json!("patched"))
    );
    assert_eq!(patched["spec"]["limits"][0]["min"]["cpu"], "40m");
    let (code, _) = cluster.delete(&format!("{RANGES}?labelSelector=test%3Dpatched"), &Value::Null);
    assert_eq!(code, 200);
    let (_, left) = cluster.get("/api/v1/limitranges");
    let left = left["items"].as_array().unwrap();
    assert_eq!(
        (left.len(), &left[0]["metadata"]["namespace"]),
        (1, &json!("other"))
    );
}
