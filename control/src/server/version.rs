//! `/version`.

use http::{Response, StatusCode};
use serde_json::json;

use super::body::{self, Body};

/// The Kubernetes version whose API this server speaks.
pub const GIT_VERSION: &str = "v1.33.0+keelson";
const MAJOR: &str = "1";
const MINOR: &str = "33";
const TREE_STATE: &str = "archive";
const BUILD_DATE: &str = "1970-01-01T00:00:00Z";
const GO_VERSION: &str = "none (Rust)";
const COMPILER: &str = "rustc";

/// Answers.
pub fn serve() -> Response<Body> {
    let version = json!({
        "major": MAJOR, "minor": MINOR, "emulationMajor": "1", "emulationMinor": "33",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "32",
        "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": TREE_STATE, "buildDate": BUILD_DATE,
        "goVersion": GO_VERSION, "compiler": COMPILER, "platform": platform(),
    });
    body::value(StatusCode::OK, super::accept::Encoding::Json, &version)
}

/// The same as labels of a metric.
pub fn labels() -> String {
    let platform = platform();
    format!(
        "build_date=\"{BUILD_DATE}\",compiler=\"{COMPILER}\",git_commit=\"\",git_tree_state=\"{TREE_STATE}\",\
         git_version=\"{GIT_VERSION}\",go_version=\"{GO_VERSION}\",major=\"{MAJOR}\",minor=\"{MINOR}\",\
         platform=\"{platform}\""
    )
}

fn platform() -> String {
    format!("{}/{}", std::env::consts::OS, go_arch())
}

fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
