//! Links `heap.c` into the binary, and tells it which commit it is built from.
//!
//! The symbol must be an object of its own on the linker's command line: jemalloc has a weak one of that name, and of an
//! archive the linker takes only what is missing. (In Rust it would be unsafe code: an attribute that replaces a symbol.)

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=heap.c");
    for object in cc::Build::new().file("heap.c").compile_intermediates() {
        println!("cargo:rustc-link-arg-bins={}", object.display());
    }
    if let Some((commit, date)) = commit() {
        println!("cargo:rustc-env=KEELSON_COMMIT={commit}");
        println!("cargo:rustc-env=KEELSON_COMMIT_DATE={date}");
    }
}

/// The commit that is checked out and its date; `None` without git, or where this is no checkout of its own.
fn commit() -> Option<(String, String)> {
    let root = Path::new("..").canonicalize().ok()?;
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root {
        // Unpacked within something else.
        return None;
    }
    // A commit on a branch changes the branch's own file, and the log of HEAD where there is one.
    let branch = git(&["symbolic-ref", "-q", "HEAD"]);
    let files = ["HEAD", "logs/HEAD", "packed-refs"]
        .into_iter()
        .chain(branch.as_deref());
    for file in files {
        let path = git(&["rev-parse", "--git-path", file])?;
        // One that is not there would be a reason to build again every time.
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    // The commit's date and not today's, so that the same commit is the same binary.
    let format = "--date=format-local:%Y-%m-%dT%H:%M:%SZ";
    let told = git(&["log", "-1", "--no-show-signature", "--format=%H %cd", format])?;
    let (commit, date) = told.split_once(' ')?;
    Some((commit.to_owned(), date.to_owned()))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .env("TZ", "UTC0")
        // Of a git that runs us (a hook), about another place.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}
