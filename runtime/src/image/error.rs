//! Errors of the image store.

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
        source: std::io::Error,
    },
}
