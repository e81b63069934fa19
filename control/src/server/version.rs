//! `/version`.

use std::sync::OnceLock;

use http::{Response, StatusCode};
use serde_json::json;

use super::body::{self, Body};

/// The Kubernetes version whose API this server speaks.
pub const GIT_VERSION: &str = "v1.33.0+keelson";
const MAJOR: &str = "1";
const MINOR: &str = "33";
const TREE_STATE: &str = "archive";
const GO_VERSION: &str = "none (Rust)";
const COMPILER: &str = "rustc";

/// Commit and date.
static BUILT: OnceLock<(&str, &str)> = OnceLock::new();

/// Says which commit the binary was built from, and of when it is. The binary says so and not this library, which would
/// be compiled again for every commit. Nobody can say whether more was changed, so the tree is that of an archive.
pub fn built_from(commit: &'static str, date: &'static str) {
    // Whoever was first has said it.
    let _ = BUILT.set((commit, date));
}

fn built() -> (&'static str, &'static str) {
    *BUILT.get().unwrap_or(&("", "1970-01-01T00:00:00Z"))
}

/// Answers.
pub fn serve() -> Response<Body> {
    let (commit, date) = built();
    let version = json!({
        "major": MAJOR, "minor": MINOR, "emulationMajor": "1", "emulationMinor": "33",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "32",
        "gitVersion": GIT_VERSION, "gitCommit": commit, "gitTreeState": TREE_STATE, "buildDate": date,
        "goVersion": GO_VERSION, "compiler": COMPILER, "platform": platform(),
    });
    body::value(StatusCode::OK, super::accept::Encoding::Json, &version)
}

/// The same as labels of a metric.
pub fn labels() -> String {
    let ((commit, date), platform) = (built(), platform());
    format!(
        "build_date=\"{date}\",compiler=\"{COMPILER}\",git_commit=\"{commit}\",git_tree_state=\"{TREE_STATE}\",\
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

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn the_commit_is_told() {
        built_from("c0ffee", "2026-01-02T03:04:05Z");
        let body = serve().into_body().collect().await.unwrap().to_bytes();
        let version: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&version["gitCommit"], &version["buildDate"]),
            (&json!("c0ffee"), &json!("2026-01-02T03:04:05Z"))
        );
        assert!(labels().contains("git_commit=\"c0ffee\""));
    }
}
