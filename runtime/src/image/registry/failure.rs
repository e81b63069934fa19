//! Why a request failed, and whether it is worth another try.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

/// A failed request, in words.
#[derive(Debug)]
pub(super) struct Failure {
    reason: String,
    /// Whether the same request may succeed later.
    pub passing: bool,
    /// Whether the registry could not be reached at all.
    pub connecting: bool,
    /// How long the registry asked us to wait.
    pub wait: Option<Duration>,
}

/// Longest wait that a registry may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Failure {
    /// One that stays.
    pub(super) fn lasting(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            passing: false,
            connecting: false,
            wait: None,
        }
    }

    /// One that may pass.
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self {
            passing: true,
            ..Self::lasting(reason)
        }
    }

    /// No connection: passes, but is not waited for at first contact.
    pub(super) fn connecting(reason: impl Into<String>) -> Self {
        Self {
            connecting: true,
            ..Self::passing(reason)
        }
    }

    /// What an answer that is no success means.
    pub(super) fn answer(method: &str, url: &str, status: StatusCode, headers: &http::HeaderMap) -> Self {
        let wait = headers
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
        match status {
            StatusCode::NOT_FOUND => Self::lasting("not found"),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let action = if matches!(method, "GET" | "HEAD") {
                    "pull"
                } else {
                    "push"
                };
                Self::lasting(format!("{}: authorization failed", denied(action)))
            }
            StatusCode::TOO_MANY_REQUESTS => Self {
                wait,
                ..Self::passing(format!("{url}: too many requests; the registry limits them"))
            },
            status => Self {
                wait,
                passing: status.is_server_error(),
                ..Self::lasting(format!(
                    "unexpected status from {method} request to {url}: {status}"
                ))
            },
        }
    }
}

/// What a registry means that does not say whether a repository exists.
pub(super) fn denied(action: &str) -> String {
    format!("{action} access denied, repository does not exist or may require authorization")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Pauses before another try, longer each time; the first comes at once. What is waited for is a server or a network
/// that was overloaded or restarted: nothing announces the end of that.
pub(super) async fn pause(attempt: u32, failure: &Failure) {
    let own = match attempt {
        0 => Duration::ZERO,
        attempt => Duration::from_millis(100) * 2u32.saturating_pow(attempt.min(7) - 1),
    };
    tokio::time::sleep(failure.wait.unwrap_or(own)).await;
}
