//! Installs a language's packages below the target directory, once for each list of packages, and runs its programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use keelson_tests::run_to_end;

use crate::context::Context;

/// Where the programs and the lists of packages are.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// A directory with what `install` put there for this list of packages: made now, or left by an earlier run.
pub fn prepared(language: &str, list: &str, install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("clients")
        .join(language);
    let done = dir.join("installed");
    if std::fs::read_to_string(&done).is_ok_and(|text| text == list) {
        return Ok(dir);
    }
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    install(&dir)?;
    std::fs::write(done, list)?;
    Ok(dir)
}

/// Runs a command that must succeed.
pub fn must(command: Command) -> Result<String> {
    let name = format!("{command:?}");
    let output = run_to_end(command, b"").with_context(|| name.clone())?;
    ensure!(
        output.code == 0,
        "{name} exited with {}\n{}\n{}",
        output.code,
        output.stdout,
        output.stderr
    );
    Ok(output.stdout)
}

/// Runs a program as the cluster's administrator; it finds its namespace in `NAMESPACE`.
pub fn as_administrator(mut command: Command, c: &Context) -> Result<()> {
    command
        .env("KUBECONFIG", c.cluster.dir().join("admin.kubeconfig"))
        // Where Python's dynamic client keeps what it has discovered.
        .env("TMPDIR", c.cluster.dir())
        .env("NAMESPACE", c.kubectl.current_namespace());
    must(command).map(|told| print!("{told}"))
}
