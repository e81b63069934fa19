//! Errors of the node-level runtime.

/// Why a sandbox or container operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The named sandbox or container does not exist.
    #[error("{0} not found")]
    NotFound(String),
    /// The name is taken.
    #[error("{0} already exists")]
    AlreadyExists(String),
    /// The request is wrong: the kubelet reports it as `CreateContainerConfigError` or `RunContainerError`.
    #[error("invalid container configuration: {0}")]
    Invalid(String),
    /// The process could not be started (executable not found, permission denied, ...): exit code 127 or 126.
    #[error("{message}")]
    Start {
        /// What failed, in runc's words where tools look for them, e.g. `exec: "foo": executable file not found in $PATH`.
        message: String,
        /// The exit code to report: 127 not found, 126 not executable, 128 otherwise.
        exit_code: i32,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path or name.
        what: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err` on a system call: says what was being done.
    pub(super) fn io<E: Into<std::io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Io {
            what,
            source: source.into(),
        }
    }
}

impl From<crate::cgroup::Error> for Error {
    fn from(error: crate::cgroup::Error) -> Self {
        use crate::cgroup::Error as Cgroup;
        match error {
            Cgroup::Invalid(words) => Self::Invalid(words),
            Cgroup::Io { what, source } => Self::Io { what, source },
            Cgroup::Removal(source) => Self::Io {
                what: "cgroup".to_owned(),
                source,
            },
        }
    }
}

impl From<crate::plan::PlanError> for Error {
    fn from(error: crate::plan::PlanError) -> Self {
        Self::Invalid(error.0)
    }
}

impl From<crate::plan::SeccompError> for Error {
    fn from(error: crate::plan::SeccompError) -> Self {
        Self::Invalid(error.to_string())
    }
}
