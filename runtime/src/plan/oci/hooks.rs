//! `hooks`, and the state that they read.

use std::path::Path;

use oci_spec::runtime::{Hook as OciHook, Spec};
use serde_json::json;

use super::{MAX_STRING, OCI_VERSION, PlanError, checked, text};
use crate::launch::{Hook, Hooks};

/// A container's state (`runtime.md`, State) without `status` and `pid`: a JSON object without its closing brace.
pub fn oci_state(spec: &Spec, id: &str, bundle: &Path) -> String {
    let state = json!({
        "ociVersion": OCI_VERSION,
        "id": id,
        "bundle": bundle,
        "annotations": spec.annotations().clone().unwrap_or_default(),
    });
    let mut text = state.to_string();
    text.pop(); // the brace
    text
}

fn list(hooks: Option<&Vec<OciHook>>, kind: &str) -> Result<Vec<Hook>, PlanError> {
    hooks
        .into_iter()
        .flatten()
        .map(|hook| compile(hook, kind))
        .collect()
}

fn compile(hook: &OciHook, kind: &str) -> Result<Hook, PlanError> {
    let path = text(hook.path())?;
    if !path.starts_with('/') {
        return Err(PlanError(format!("{kind} hook: path {path:?} is not absolute")));
    }
    let args = hook.args().clone().filter(|args| !args.is_empty());
    let args = args.unwrap_or_else(|| vec![path.clone()]);
    let env = hook.env().clone().unwrap_or_default();
    for (strings, what) in [(&args, "hook argument"), (&env, "hook environment entry")] {
        for string in strings {
            checked(string, MAX_STRING, what)?;
        }
    }
    let timeout = match hook.timeout() {
        None => 0,
        Some(seconds) => u32::try_from(seconds)
            .ok()
            .filter(|seconds| (1..=i32::MAX as u32 / 1000).contains(seconds))
            .ok_or_else(|| PlanError(format!("{kind} hook {path}: timeout {seconds} is out of range")))?,
    };
    Ok(Hook {
        path,
        args,
        env,
        timeout,
    })
}

/// Compiles a container's hooks.
pub fn oci_hooks(spec: &Spec, id: &str, bundle: &Path) -> Result<Hooks, PlanError> {
    let state = oci_state(spec, id, bundle);
    let directory = text(bundle)?;
    let Some(hooks) = spec.hooks() else {
        return Ok(Hooks {
            state,
            directory,
            ..Hooks::default()
        });
    };
    #[allow(deprecated)] // by the specification, which still wants it run
    let prestart = list(hooks.prestart().as_ref(), "prestart")?;
    Ok(Hooks {
        state,
        directory,
        prestart,
        create_runtime: list(hooks.create_runtime().as_ref(), "createRuntime")?,
        create_container: list(hooks.create_container().as_ref(), "createContainer")?,
        start_container: list(hooks.start_container().as_ref(), "startContainer")?,
        poststart: list(hooks.poststart().as_ref(), "poststart")?,
        poststop: list(hooks.poststop().as_ref(), "poststop")?,
    })
}
