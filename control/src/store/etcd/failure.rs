//! What became of a request that failed.

use tonic::Code;

/// What etcd says when it has not begun with a request.
const NOT_BEGUN: [&str; 2] = ["etcdserver: no leader", "etcdserver: too many requests"];

/// What is wrong with a connection on which a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing comes through.
    Broken,
    /// Its server answered that it could not: another one may, and what else is on the connection goes on.
    Unwell,
}

/// Why a request failed.
#[derive(Debug, Clone)]
pub enum Failure {
    /// No server took it.
    NotSent(String),
    /// A server said no.
    Refused(Code, String),
    /// It may have been carried out.
    Unknown(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSent(why) | Self::Refused(_, why) | Self::Unknown(why) => f.write_str(why),
        }
    }
}

/// A request that failed, and what that says of the connection.
pub type Failed = (Failure, Option<Fault>);

/// It took too long.
pub fn no_answer() -> Failed {
    let failure = Failure::Unknown("no answer in time".to_owned());
    (failure, Some(Fault::Broken))
}

/// The connection takes no request.
pub fn not_ready(error: &tonic::transport::Error) -> Failed {
    (Failure::NotSent(chain(error)), Some(Fault::Broken))
}

/// What a status that answers a request says.
pub fn classify(status: &tonic::Status) -> Failed {
    let message = format!("{} ({:?})", status.message(), status.code());
    let fault = Some(fault(status));
    if NOT_BEGUN.iter().any(|text| status.message().starts_with(text)) || was_not_sent(status) {
        return (Failure::NotSent(message), fault);
    }
    match status.code() {
        // What the transport reports, or a server that is slow, stopping or without a leader.
        Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled | Code::DeadlineExceeded => {
            (Failure::Unknown(message), fault)
        }
        code => (Failure::Refused(code, status.message().to_owned()), None),
    }
}

/// What a status says of the connection that it came on: whether a server has sent it, or the transport in its place, which
/// has a cause to tell or is at odds with the protocol.
pub fn fault(status: &tonic::Status) -> Fault {
    let is_local = std::error::Error::source(status).is_some() || status.code() == Code::Internal;
    if is_local { Fault::Broken } else { Fault::Unwell }
}

/// Whether the connection failed before the request was on it.
fn was_not_sent(status: &tonic::Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        if error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_canceled)
        {
            return true;
        }
        source = error.source();
    }
    false
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
