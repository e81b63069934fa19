//! Errors of the image store.

use std::io;
use std::path::Path;

/// Why an image operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No image of that name or id is in the store.
    #[error("image {0:?} not found")]
    NotFound(String),
    /// The reference does not parse: the kubelet reports `InvalidImageName`.
    #[error("invalid reference format: {0}")]
    InvalidReference(String),
    /// The input is damaged, hostile or of an unknown form.
    #[error("invalid image: {0}")]
    Invalid(String),
    /// A registry refused or could not be reached: `ErrImagePull`.
    #[error("failed to pull image {reference:?}: {reason}")]
    Pull {
        /// The image.
        reference: String,
        /// The cause in words.
        reason: String,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// A failed system call on something of ours.
    pub(super) fn io(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Io {
            what: what.into(),
            source: source.into(),
        }
    }

    /// As [`Error::io`], naming a path.
    pub(super) fn path(doing: &str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::io(format!("{doing} {}", path.display()), source)
    }

    /// A document that does not parse. The parser quotes what it found, which may be megabytes.
    pub(super) fn document(what: &str, source: &serde_json::Error) -> Self {
        let words: String = source.to_string().chars().take(300).collect();
        Self::Invalid(format!("{what}: {words}"))
    }

    /// An error while reading a stream of the image: one of ours that travelled through `Read`, a failed system
    /// call, or damaged data, in that order.
    pub(super) fn stream(what: &str, source: io::Error) -> Self {
        if source.raw_os_error().is_some() {
            return Self::io(what, source);
        }
        let words = source.to_string();
        if let Some(inner) = source.into_inner()
            && let Ok(ours) = inner.downcast::<Self>()
        {
            return *ours;
        }
        Self::Invalid(format!("{what}: {words}"))
    }

    /// Carries this error through an interface that knows only [`io::Error`]; [`Error::stream`] takes it out.
    pub(super) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }
}
