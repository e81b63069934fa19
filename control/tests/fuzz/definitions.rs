//! Definitions of custom resources and objects of what they define.

use crate::{driver, json, targets};

#[test]
fn definition() {
    let runs = driver::run_slow(
        "definition",
        Vec::new(),
        json::parse,
        json::text,
        targets::definition,
    );
    // A definition is compiled, patterns included, which takes milliseconds.
    assert!(runs > 10, "{runs} runs are no fuzzing");
}
