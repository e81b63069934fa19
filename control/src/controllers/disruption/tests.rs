use std::sync::Arc;

use serde_json::{Value, json};

use super::status::compute;
use crate::controllers::model::{Budget, Pod, Time};

const NOW: Time = Time(1_704_070_800);

fn budget(spec: &Value, status: &Value) -> Budget {
    serde_json::from_value(
        json!({"metadata": {"name": "b", "generation": 2}, "spec": spec, "status": status}),
    )
    .unwrap()
}

fn pods(ready: usize, unready: usize) -> Vec<Arc<Pod>> {
    let pod = |number: usize| {
        let status = if number < ready { "True" } else { "False" };
        let value = json!({"metadata": {"name": format!("p{number}")},
            "status": {"conditions": [{"type": "Ready", "status": status}]}});
        Arc::new(serde_json::from_value(value).unwrap())
    };
    (0..ready + unready).map(pod).collect()
}

#[test]
fn allowances() {
    let cases = [
        (json!({"minAvailable": 2}), pods(3, 0), Ok(3), (1, 3, 2, 3)),
        (
            json!({"minAvailable": 2}),
            pods(2, 1),
            Err("no scale".to_owned()),
            (0, 2, 2, 3),
        ),
        (json!({"maxUnavailable": 1}), pods(3, 0), Ok(3), (1, 3, 2, 3)),
        (json!({"maxUnavailable": "50%"}), pods(3, 0), Ok(3), (2, 3, 1, 3)),
        (json!({"minAvailable": "50%"}), pods(3, 0), Ok(3), (1, 3, 2, 3)),
        (json!({"maxUnavailable": 5}), pods(1, 0), Ok(3), (1, 1, 0, 3)),
        (json!({"minAvailable": 0}), pods(0, 0), Ok(0), (0, 0, 0, 0)),
    ];
    for (spec, pods, scale, (allowed, healthy, desired, expected)) in cases {
        let status = compute(&budget(&spec, &json!({})), &pods, scale, NOW).status;
        assert_eq!(
            (
                status.disruptions_allowed,
                status.current_healthy,
                status.desired_healthy,
                status.expected_pods
            ),
            (allowed, healthy, desired, expected),
            "{spec}"
        );
        let reason = if allowed > 0 {
            "SufficientPods"
        } else {
            "InsufficientPods"
        };
        assert_eq!(status.conditions[0].reason, reason, "{spec}");
    }
    let unknown = compute(
        &budget(&json!({"maxUnavailable": 1}), &json!({})),
        &pods(3, 0),
        Err("why".into()),
        NOW,
    );
    assert_eq!(
        (
            unknown.status.disruptions_allowed,
            unknown.status.conditions[0].reason.as_str()
        ),
        (0, "SyncFailed")
    );
}

#[test]
fn evictions_under_way_count_until_they_time_out() {
    let status = json!({"disruptedPods": {
        "p0": Time(NOW.0 - 10), "p1": Time(NOW.0 - 500), "gone": Time(NOW.0 - 1)}});
    let computed = compute(
        &budget(&json!({"minAvailable": 1}), &status),
        &pods(3, 0),
        Ok(3),
        NOW,
    );
    assert_eq!(computed.status.disrupted_pods.keys().collect::<Vec<_>>(), ["p0"]);
    assert_eq!(
        (
            computed.status.current_healthy,
            computed.status.disruptions_allowed
        ),
        (2, 1)
    );
    assert_eq!(computed.again, Some(110));
}
