//! The keelson binary: one command for every part.
fn main() {}
