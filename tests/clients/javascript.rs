//! `@kubernetes/client-node`: modules from a committed lock file, and one program per area.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};

use crate::context::{Context, Test};
use crate::packages::{as_administrator, must, prepared, sources};

pub const TESTS: &[Test] = &[
    ("javascript_objects", |c| run(c, "objects.mjs")),
    ("javascript_watch_and_informer", |c| run(c, "watches.mjs")),
    ("javascript_streams", |c| run(c, "streams.mjs")),
    ("javascript_port_forward", |c| run(c, "ports.mjs")),
    ("javascript_custom_resources", |c| run(c, "customs.mjs")),
];

static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();

/// Installs the client if need be; why it cannot be had.
pub fn missing() -> Option<&'static str> {
    let installed = INSTALLED.get_or_init(|| {
        install()
            .or_else(|_| install())
            .map_err(|error| format!("{error:#}"))
    });
    installed.as_ref().err().map(String::as_str)
}

/// Whether an attempt to install it has failed.
pub fn known_missing() -> bool {
    INSTALLED.get().is_some_and(Result::is_err)
}

/// The directory that has `node_modules`. Programs are copied into it, because Node looks for modules beside them.
fn install() -> Result<PathBuf> {
    let from = sources().join("javascript");
    let mut node = Command::new("node");
    node.arg("--version");
    must(node)?;
    let list = std::fs::read_to_string(from.join("package-lock.json"))?;
    let dir = prepared("javascript", &list, |dir| {
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(from.join(file), dir.join(file))?;
        }
        let mut npm = Command::new("npm");
        npm.args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ])
        .current_dir(dir);
        must(npm).map(drop)
    })?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "mjs") {
            std::fs::copy(&path, dir.join(path.file_name().context("name")?))?;
        }
    }
    Ok(dir)
}

fn run(c: &Context, program: &str) -> Result<()> {
    let installed = INSTALLED.get().context("not installed")?;
    let dir = installed.as_ref().map_err(|why| anyhow::anyhow!("{why}"))?;
    let mut command = Command::new("node");
    command.arg(dir.join(program));
    as_administrator(command, c)
}
