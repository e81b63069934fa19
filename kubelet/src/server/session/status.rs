//! The status that ends a session (`metav1.Status`, as upstream's remotecommand writes it).

use keelson_api::status::{Cause, Details, Status};

/// How a session ended.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum Outcome {
    /// Exit code 0, or an attached container's end.
    Success,
    /// Another exit code.
    Exit(i32),
    /// It could not be started or went wrong.
    Failed(String),
}

impl Outcome {
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Success => Status {
                code: 0,
                ..Status::success(None)
            },
            Self::Exit(code) => {
                let cause = Cause {
                    reason: "ExitCode".to_owned(),
                    message: code.to_string(),
                    ..Cause::default()
                };
                let details = Details {
                    causes: vec![cause],
                    ..Details::default()
                };
                let message = format!("command terminated with non-zero exit code: exit status {code}");
                Status::failure(0, "NonZeroExitCode", message, Some(details))
            }
            Self::Failed(words) => Status::failure(
                500,
                "InternalError",
                format!("Internal error occurred: {words}"),
                None,
            ),
        }
    }
}
