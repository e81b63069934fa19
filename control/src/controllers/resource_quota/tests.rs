//! When a status is written.

use serde_json::{Value, json};

use super::controller::status;
use crate::admission::resource_quota::amounts;

fn quota(hard: &Value, status: &Value) -> Value {
    json!({"metadata": {"name": "q", "namespace": "a"}, "spec": {"hard": hard}, "status": status})
}

#[test]
fn a_status_is_written_when_it_says_something_else() {
    let hard = json!({"pods": "5", "cpu": "1"});
    let decide = |known: Value, used: Value| status(&quota(&hard, &known), &amounts(&hard), amounts(&used));
    let first = decide(json!({}), json!({"pods": "0", "cpu": "0"})).unwrap();
    assert_eq!(
        first,
        json!({"hard": {"cpu": "1", "pods": "5"}, "used": {"cpu": "0", "pods": "0"}})
    );
    assert_eq!(decide(first.clone(), json!({"pods": "0", "cpu": "0"})), None);
    // The same amounts in other words are the same.
    let reworded = json!({"hard": {"cpu": "1000m", "pods": "5"}, "used": {"cpu": "0", "pods": "0"}});
    assert_eq!(decide(reworded, json!({"pods": "0", "cpu": "0"})), None);
    let more = decide(first, json!({"pods": "1", "cpu": "500m"})).unwrap();
    assert_eq!(more["used"], json!({"cpu": "500m", "pods": "1"}));
}

#[test]
fn what_nobody_counts_keeps_its_value_and_what_is_not_limited_goes() {
    let hard = json!({"pods": "5", "example.com/things": "3"});
    let known =
        json!({"hard": {"pods": "5"}, "used": {"pods": "1", "secrets": "2", "example.com/things": "1"}});
    let status = status(
        &quota(&hard, &known),
        &amounts(&hard),
        amounts(&json!({"pods": "1"})),
    )
    .unwrap();
    assert_eq!(status["used"], json!({"pods": "1", "example.com/things": "1"}));
    assert_eq!(status["hard"], hard);
}
