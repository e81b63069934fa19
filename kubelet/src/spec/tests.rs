use k8s_openapi::api::core::v1::PodSpec;
use keelson_runtime::node::QosClass;
use proptest::prelude::*;
use serde_json::json;

use super::resources::oom_score_adj;
use super::*;

fn spec(value: serde_json::Value) -> PodSpec {
    serde_json::from_value(value).unwrap()
}

proptest! {
    #[test]
    fn expand_never_panics_and_keeps_text_without_dollar(text in "\\PC{0,40}") {
        let out = expand(&text, |_| Some("v".into()));
        if !text.contains('$') {
            prop_assert_eq!(out, text);
        }
    }
}

#[test]
fn expansion_follows_upstream() {
    let lookup = |name: &str| (name == "A").then(|| "1".to_owned());
    for (input, expected) in [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$(B)", "$(B)"),
        ("x$(A)y$(A)", "x1y1"),
        ("$", "$"),
        ("$(A", "$(A"),
        ("$$$(A)", "$1"),
        ("$()", "$()"),
        ("$A", "$A"),
        ("é$(A)é", "é1é"),
    ] {
        assert_eq!(expand(input, lookup), expected, "{input}");
    }
}

#[test]
fn qos_classes() {
    let none = spec(json!({"containers": [{"name": "a"}]}));
    let equal =
        spec(json!({"containers": [{"name": "a", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]}));
    let some = spec(json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "10m"}}}]}));
    assert_eq!(qos_class(&none), QosClass::BestEffort);
    assert_eq!(qos_class(&equal), QosClass::Guaranteed);
    assert_eq!(qos_class(&some), QosClass::Burstable);
}

#[test]
fn oom_scores() {
    let gib = 1 << 30;
    let some = spec(json!({"containers": [
        {"name": "a", "resources": {"requests": {"memory": "512Mi"}}}, {"name": "b"}]}));
    assert_eq!(oom_score_adj(&some, &some.containers[0], gib), 500);
    assert_eq!(oom_score_adj(&some, &some.containers[1], gib), 999);
    let none = spec(json!({"containers": [{"name": "a"}]}));
    assert_eq!(oom_score_adj(&none, &none.containers[0], gib), 1000);
}

#[test]
fn kernel_units() {
    let s = spec(json!({"containers": [{"name": "a", "resources":
        {"requests": {"cpu": "250m"}, "limits": {"cpu": "500m", "memory": "64Mi", "hugepages-2Mi": "4Mi"}}}]}));
    let r = container_resources(&s, &s.containers[0], 1 << 30);
    assert_eq!(
        (r.cpu_shares, r.cpu_quota, r.cpu_period),
        (Some(256), Some(50_000), Some(100_000))
    );
    assert_eq!(r.memory_limit, Some(64 << 20));
    assert_eq!(r.hugepages.get("2MB"), Some(&(4 << 20)));
    let none = spec(json!({"containers": [{"name": "a"}]}));
    assert_eq!(
        container_resources(&none, &none.containers[0], 1).cpu_shares,
        Some(2)
    );
}

#[test]
fn pod_requests_count_init_steps_beside_sidecars() {
    let s = spec(json!({
        "initContainers": [
            {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}},
            {"name": "i", "resources": {"requests": {"cpu": "5"}}}],
        "containers": [{"name": "a", "resources": {"requests": {"cpu": "2"}}}],
        "overhead": {"cpu": "1"}}));
    assert_eq!(pod_request(&s, "cpu"), 7000);
}
