//! Keelson's per-pod supervisor. See `runtime/src/shim/mod.rs`.
#![allow(dead_code, unused_imports)] // these modules also serve the runtime library, which uses parts that the shim does not

#[path = "../src/cgroup/removal.rs"]
mod cgroup;
#[path = "../src/launch/mod.rs"]
mod launch;
#[path = "../src/shim/mod.rs"]
mod shim;
#[path = "../src/sys/mod.rs"]
mod sys;
#[path = "../src/wire.rs"]
mod wire;

fn main() {
    std::process::exit(shim::main());
}
