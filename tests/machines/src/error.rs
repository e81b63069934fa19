//! What can go wrong with a machine.

use std::time::Duration;

/// Errors of this crate. Those of [`Error::is_machine`] are the machine's own failure, not that of what runs inside.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call or a program of the host failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A program of the host ended with an error.
    #[error("{what} failed: {output}")]
    Program {
        /// The program and what it was to do.
        what: String,
        /// What it said.
        output: String,
    },
    /// The machine did not come up.
    #[error("the machine did not boot: {reason}; its console ends with:\n{console}")]
    Boot {
        /// What was missing.
        reason: String,
        /// End of the serial console.
        console: String,
    },
    /// The machine ended or fell silent in the middle of a script, without its end mark.
    #[error("the machine ended inside a script; output:\n{output}\nits console ends with:\n{console}")]
    Vanished {
        /// The script's output so far.
        output: String,
        /// End of the serial console.
        console: String,
    },
    /// A script took too long.
    #[error("no end after {limit:?}; output:\n{output}\nthe console ends with:\n{console}")]
    Timeout {
        /// How long it was given.
        limit: Duration,
        /// The script's output so far.
        output: String,
        /// End of the serial console.
        console: String,
    },
    /// A script ended with an error where none was expected.
    #[error("exit code {code} of {script:?}; output:\n{output}")]
    Failed {
        /// What was run.
        script: String,
        /// Its exit code (128 + signal if killed).
        code: i32,
        /// What it said.
        output: String,
    },
}

impl Error {
    /// Wraps an I/O error with what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Whether the machine itself failed: then, and only then, may the same be tried once more.
    pub fn is_machine(&self) -> bool {
        matches!(self, Self::Boot { .. } | Self::Vanished { .. })
    }
}
