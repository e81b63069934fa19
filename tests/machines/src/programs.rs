//! Programs of the workspace that go into machines, built by the cargo that runs the tests.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Error;

/// Builds programs with `cargo build` or `cargo test --no-run` and returns (target name, file) of each executable. For
/// example `build(&["test", "--no-run", "-p", "keelson-runtime", "--test", "node"])`.
pub fn build(arguments: &[&str]) -> Result<Vec<(String, PathBuf)>, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let what = format!("cargo {}", arguments.join(" "));
    let mut command = Command::new(cargo);
    // What cargo set for this process is not meant for another build: build scripts that look at it would run again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
        ];
        if ours.iter().any(|prefix| text.starts_with(prefix)) || text == "LD_LIBRARY_PATH" {
            command.env_remove(&name);
        }
    }
    let output = command
        .args(arguments)
        .args(["--locked", "--message-format=json-render-diagnostics"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::io(what.as_str()))?;
    if !output.status.success() {
        return Err(Error::Program {
            what,
            output: "see above".into(),
        });
    }
    Ok(executables(&String::from_utf8_lossy(&output.stdout)))
}

/// The executable of a target, of what [`build`] returned.
pub fn find<'a>(built: &'a [(String, PathBuf)], target: &str) -> Result<&'a PathBuf, Error> {
    built
        .iter()
        .find(|(name, _)| name == target)
        .map(|(_, path)| path)
        .ok_or_else(|| Error::Program {
            what: format!("looking for {target}"),
            output: format!("cargo built {built:?}"),
        })
}

/// Names and files of the executables in cargo's messages.
fn executables(messages: &str) -> Vec<(String, PathBuf)> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| {
            let file = message["executable"].as_str()?;
            Some((message["target"]["name"].as_str()?.to_owned(), file.into()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_among_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"lib"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"node"},"executable":"/t/debug/deps/node-1"}
not json
{"reason":"build-finished","success":true}"#;
        let found = executables(messages);
        assert_eq!(
            found,
            [("node".to_owned(), PathBuf::from("/t/debug/deps/node-1"))]
        );
        assert!(find(&found, "node").is_ok() && find(&found, "oci").is_err());
    }
}
