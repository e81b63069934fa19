//! Why a request has no answer of its handler, or one that is an error.

use keelson_api::status::Status;

/// An error, and whose fault it is.
#[derive(Debug)]
pub struct Refusal {
    /// The answer.
    pub status: Status,
    /// The server gave the request up to go on with others.
    pub in_defence: bool,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self {
            status,
            in_defence: false,
        }
    }
}

impl Refusal {
    /// Given up to go on with others.
    pub fn in_defence(status: Status) -> Self {
        Self {
            status,
            in_defence: true,
        }
    }
}
