//! Hostile input, by mutation: what programs of others hand to the runtime, changed at random for some seconds each, with
//! the invariants checked that a crash alone would not show. Each target has a corpus in `corpus/NAME`; an input that
//! breaks something is written to the target's temporary directory, and belongs into the corpus with its fix.
//!
//! `KEELSON_FUZZ_SECONDS` (3 for each target) and `KEELSON_FUZZ_SEED` (the time) set how long and from where; the seed is
//! printed.

mod driver;
mod json;
mod random;
mod tape;

mod accounts;
mod config;
mod image;
mod layer;
mod place;
mod seccomp;
mod wire;
