//! Limits, with real cgroup v2 controllers: `make test-vm` runs these in virtual machines with several kernels. Elsewhere
//! they are ignored; `cargo test --test limits -- --ignored` runs them on a host that has the controllers. Needs root.

#[path = "../node/busybox.rs"]
mod busybox;
mod node;
mod oci;
#[path = "../node/support.rs"]
#[allow(
    dead_code,
    reason = "shared with the tests of the node runtime, which use all of it"
)]
mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Waits until the kernel has done something that it announces nowhere.
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !done() {
        assert!(Instant::now() < deadline, "not within two minutes: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A file of a cgroup, without the line end.
fn read(directory: &Path, file: &str) -> String {
    let path = directory.join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end().to_owned()
}

/// A `key value` line of a cgroup's file.
fn keyed(directory: &Path, file: &str, key: &str) -> u64 {
    let text = read(directory, file);
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    value
        .unwrap_or_else(|| panic!("no {key} in {text}"))
        .parse()
        .unwrap()
}
