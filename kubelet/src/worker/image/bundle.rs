//! `oci-bundle:///path`: an OCI bundle on this node in the place of an image.

use std::path::Path;

use keelson_runtime::node::RootfsSource;

use crate::container::spec::ImageFacts;

/// Prefix of such image names.
pub(super) const SCHEME: &str = "oci-bundle://";

/// The bundle at an absolute path. The runtime takes environment, directory and user from its `config.json`; its
/// arguments take the place of an image's entry point (the first) and command (the rest), so that a pod's `command` and
/// `args` mean here what they mean with an image.
pub(super) fn facts(path: &str) -> Result<ImageFacts, String> {
    let path = Path::new(path);
    if !path.is_absolute() {
        return Err(format!("bundle path {} is not absolute", path.display()));
    }
    let config = path.join("config.json");
    let text = std::fs::read(&config).map_err(|error| format!("read {}: {error}", config.display()))?;
    let parsed: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| format!("parse {}: {error}", config.display()))?;
    let args = parsed
        .pointer("/process/args")
        .and_then(serde_json::Value::as_array);
    let args = args.into_iter().flatten().filter_map(serde_json::Value::as_str);
    let mut args = args.map(str::to_owned);
    Ok(ImageFacts {
        id: format!("{SCHEME}{}", path.display()),
        rootfs: RootfsSource::Bundle(path.to_owned()),
        entrypoint: args.next().into_iter().collect(),
        cmd: args.collect(),
        env: Vec::new(),
        working_dir: String::new(),
        user: user(&parsed),
        stop_signal: None,
    })
}

/// `process.user` as an image would name it. Only `runAsNonRoot` asks; the runtime takes the user from the bundle itself,
/// with its groups.
fn user(config: &serde_json::Value) -> String {
    let id = |name: &str| {
        config
            .pointer(&format!("/process/user/{name}"))
            .and_then(serde_json::Value::as_u64)
    };
    format!("{}:{}", id("uid").unwrap_or(0), id("gid").unwrap_or(0))
}
