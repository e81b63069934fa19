//! The official Python client: a virtual environment, and one program per area.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};

use crate::context::{Context, Test};
use crate::packages::{as_administrator, must, prepared, sources};

pub const TESTS: &[Test] = &[
    ("python_typed_objects", |c| run(c, "objects.py")),
    ("python_every_kind_in_its_types", |c| run(c, "kinds.py")),
    ("python_workloads", |c| run(c, "workloads.py")),
    ("python_watch", |c| run(c, "watches.py")),
    ("python_streams", |c| run(c, "streams.py")),
    ("python_dynamic", |c| run(c, "dynamics.py")),
    ("python_custom_resources", |c| run(c, "customs.py")),
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

fn install() -> Result<PathBuf> {
    let requirements = sources().join("python/requirements.txt");
    let list = std::fs::read_to_string(&requirements)?;
    let dir = prepared("python", &list, |dir| {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv"]).arg(dir);
        must(venv)?;
        let mut pip = Command::new(dir.join("bin/pip"));
        pip.args([
            "install",
            "--quiet",
            "--no-deps",
            "--disable-pip-version-check",
            "-r",
        ])
        .arg(&requirements);
        must(pip).map(drop)
    })?;
    Ok(dir.join("bin/python"))
}

fn run(c: &Context, program: &str) -> Result<()> {
    let installed = INSTALLED.get().context("not installed")?;
    let python = installed.as_ref().map_err(|why| anyhow::anyhow!("{why}"))?;
    let mut command = Command::new(python);
    // Bytecode beside the sources would make the checkout dirty.
    command.arg("-B").arg(sources().join("python").join(program));
    as_administrator(command, c)
}
