//! Builds the small static programs that the library embeds: the shim, from a few of our own source files, and the OCI
//! command line, which is this crate without its feature `node`.

use std::env;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The shim that an outer build has made already.
const SHIM_MADE: &str = "KEELSON_SHIM_MADE";

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    // Checkouts that share a target directory share OUT_DIR too, and cargo would take one's shim for another's: each gets
    // a directory of its own.
    let mut checkout = DefaultHasher::new();
    manifest.hash(&mut checkout);
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let out = out.join(format!("{:016x}", checkout.finish()));
    let with_node = env::var_os("CARGO_FEATURE_NODE").is_some();
    println!("cargo::rerun-if-env-changed={SHIM_MADE}");
    let mut sources = vec![
        "build.rs",
        "shim",
        "src/cgroup/removal.rs",
        "src/launch",
        "src/shim",
        "src/sys",
        "src/wire.rs",
    ];
    if with_node {
        sources.extend([
            "command",
            "src/cgroup",
            "src/oci",
            "src/plan",
            "src/lib.rs",
            "src/programs.rs",
        ]);
    }
    for path in sources {
        println!("cargo::rerun-if-changed={path}");
    }
    let shim = env::var_os(SHIM_MADE).unwrap_or_else(|| shim(&manifest, &out));
    println!("cargo::rustc-env=KEELSON_SHIM={}", Path::new(&shim).display());
    if with_node {
        let command = command(&manifest, &out, &shim);
        println!("cargo::rustc-env=KEELSON_COMMAND={}", command.display());
    }
}

fn shim(manifest: &Path, out: &Path) -> OsString {
    let made = Made::new(out.join("shim"), "release");
    build(made.cargo(&manifest.join("shim/Cargo.toml")), "the shim");
    made.program("keelson-shim").into_os_string()
}

fn command(manifest: &Path, out: &Path, shim: &OsString) -> PathBuf {
    let profile = match env::var("PROFILE").as_deref() {
        Ok("release") => "small",
        _ => "small-dev",
    };
    let made = Made::new(out.join("command"), profile);
    let mut cargo = made.cargo(&manifest.join("command/Cargo.toml"));
    cargo.env(SHIM_MADE, shim);
    build(cargo, "the OCI command line");
    made.program("keelson-command")
}

/// The target that small programs are built for: musl, whose start costs a fifth of glibc's (which asks a virtual machine's
/// processor dozens of questions that its hypervisor must answer). Without it they are larger and slower, but work.
fn target() -> String {
    let host = env::var("HOST").expect("cargo sets it");
    let musl = host.replace("-gnu", "-musl");
    let mut rustc = Command::new(env::var_os("RUSTC").expect("cargo sets it"));
    let printed = rustc
        .args(["--print", "target-libdir", "--target", &musl])
        .output();
    let printed = printed.expect("running rustc").stdout;
    if Path::new(String::from_utf8_lossy(&printed).trim()).is_dir() {
        return musl;
    }
    println!(
        "cargo::warning=Rust's target {musl} is not installed: each container command will cost a millisecond more"
    );
    host
}

/// Where a nested build leaves its results.
struct Made {
    directory: PathBuf,
    target: String,
    profile: &'static str,
}

impl Made {
    fn new(directory: PathBuf, profile: &'static str) -> Self {
        let target = target();
        Self {
            directory,
            target,
            profile,
        }
    }

    fn program(&self, name: &str) -> PathBuf {
        self.directory.join(&self.target).join(self.profile).join(name)
    }

    /// Cargo for a static program at a fixed address: nothing is loaded or relocated when it starts. Naming the target
    /// keeps its flags from procedural macros, which cannot be static.
    fn cargo(&self, manifest: &Path) -> Command {
        let mut cargo = cargo();
        cargo
            .args([
                "--profile",
                self.profile,
                "--target",
                &self.target,
                "--manifest-path",
            ])
            .arg(manifest)
            .arg("--target-dir")
            .arg(&self.directory);
        cargo
    }
}

fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets it"));
    cargo.args(["build", "--locked", "--quiet"]);
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
    cargo
}

fn build(mut cargo: Command, what: &str) {
    let status = cargo.status().expect("running cargo");
    assert!(status.success(), "building {what} failed");
}
