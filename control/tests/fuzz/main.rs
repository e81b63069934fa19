//! Hostile input, by mutation: what clients send to the API server, changed at random for some seconds each, with the
//! invariants checked that a crash alone would not show. The targets are those of `fuzz/` at the top, where libFuzzer drives
//! them; here they need no other compiler and end by themselves. Seeds are in `corpus/NAME`; an input that breaks something is
//! written to the target's temporary directory, and belongs into the corpus with its fix.
//!
//! `KEELSON_FUZZ_SECONDS` (3 for each target) and `KEELSON_FUZZ_SEED` (the time) set how long and from where; the seed is
//! printed. With `KEELSON_FUZZ_SEEDS` nothing is run: the seeds of all targets are written into that directory.

// One driver for all crates that are fuzzed.
#[path = "../../../runtime/tests/fuzz/driver.rs"]
mod driver;
#[path = "../../../runtime/tests/fuzz/json.rs"]
mod json;
#[path = "../../../runtime/tests/fuzz/random.rs"]
mod random;

mod bodies;
mod definitions;
mod grown;
mod patches;
mod targets;
mod texts;
