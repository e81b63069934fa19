//! The error of this module.

/// A cgroup could not be made, changed or removed.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct Error {
    /// What was being done, with the path.
    pub what: String,
    /// The system's answer.
    #[source]
    pub source: std::io::Error,
}

impl Error {
    /// For `map_err` on a system call: says what was being done.
    pub(super) fn io<E: Into<std::io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self {
            what,
            source: source.into(),
        }
    }
}
