//! Builds the shim, a small static program from a few of our own source files, for the library to embed.

use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for path in [
        "build.rs",
        "shim",
        "src/cgroup/removal.rs",
        "src/launch",
        "src/shim",
        "src/sys",
        "src/wire.rs",
    ] {
        println!("cargo::rerun-if-changed={path}");
    }
    // Checkouts that share a target directory share OUT_DIR too, and cargo would take one's shim for another's: each gets
    // a directory of its own.
    let mut checkout = DefaultHasher::new();
    manifest.hash(&mut checkout);
    let directory = out.join(format!("shim-{:016x}", checkout.finish()));
    let target = env::var("HOST").expect("cargo sets it");
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets it"));
    cargo
        .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
        .arg(manifest.join("shim/Cargo.toml"))
        .arg("--target-dir")
        .arg(&directory);
    // What the outer build set for itself is not meant for this one.
    for (name, _) in env::vars_os() {
        let name_text = name.to_string_lossy();
        let outer = [
            "CARGO_PROFILE_",
            "CARGO_BUILD_",
            "CARGO_RESOLVER_",
            "CARGO_UNSTABLE_",
            "CARGO_FEATURE_",
        ];
        if outer.iter().any(|prefix| name_text.starts_with(prefix)) {
            cargo.env_remove(&name);
        }
    }
    for name in [
        "RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_TARGET_DIR",
        "CLIPPY_ARGS",
    ] {
        cargo.env_remove(name);
    }
    cargo.env(
        "CARGO_ENCODED_RUSTFLAGS",
        "-Ctarget-feature=+crt-static\u{1f}-Crelocation-model=static",
    );
    let status = cargo.status().expect("running cargo for the shim");
    assert!(status.success(), "building the shim for {target} failed");
    let program = directory.join("release/keelson-shim");
    println!("cargo::rustc-env=KEELSON_SHIM={}", program.display());
}
