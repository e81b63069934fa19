//! The targets: they are written once, in the tests of the crates that they are about.

#[path = "../../control/tests/fuzz/targets.rs"]
pub mod control;
#[path = "../../streams/tests/fuzz/targets.rs"]
pub mod streams;
