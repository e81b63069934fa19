//! `/version`.

use http::{Response, StatusCode};
use serde_json::json;

use super::body::{self, Body};

/// The Kubernetes version whose API this server speaks.
pub const GIT_VERSION: &str = "v1.33.0+keelson";

/// Answers.
pub fn serve() -> Response<Body> {
    let platform = format!("{}/{}", std::env::consts::OS, go_arch());
    let version = json!({
        "major": "1", "minor": "33", "emulationMajor": "1", "emulationMinor": "33",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "32",
        "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": "archive", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none (Rust)", "compiler": "rustc", "platform": platform,
    });
    body::value(StatusCode::OK, super::accept::Encoding::Json, &version)
}

fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
