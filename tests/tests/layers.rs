//! The house rules that a machine can check: which crate may use which.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What each crate may depend on inside the workspace (DESIGN.md section 1).
const MAY_USE: [(&str, &[&str]); 8] = [
    ("keelson-api", &[]),
    ("keelson-streams", &[]),
    ("keelson-runtime", &[]),
    ("keelson-command", &["keelson-runtime"]),
    ("keelson-netd", &["keelson-api"]),
    (
        "keelson-kubelet",
        &[
            "keelson-api",
            "keelson-streams",
            "keelson-runtime",
            "keelson-netd",
        ],
    ),
    ("keelson-control", &["keelson-api", "keelson-streams"]),
    (
        "keelson-cli",
        &[
            "keelson-api",
            "keelson-runtime",
            "keelson-netd",
            "keelson-kubelet",
            "keelson-control",
        ],
    ),
];

#[test]
fn dependencies_point_down_only() -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--locked"])
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let mut used = BTreeMap::new();
    for package in metadata["packages"].as_array().context("packages")? {
        let dependencies = package["dependencies"].as_array().context("dependencies")?.iter();
        let ours: Vec<_> = dependencies
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|name| name.starts_with("keelson-"))
            .collect();
        used.insert(package["name"].as_str().context("name")?, ours);
    }
    for (name, allowed) in MAY_USE {
        let ours = used.get(name).with_context(|| format!("no crate {name}"))?;
        for dependency in ours {
            ensure!(
                allowed.contains(dependency),
                "{name} must not depend on {dependency}"
            );
        }
    }
    Ok(())
}
