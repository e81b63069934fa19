//! The netlink edge: synchronous sockets, message framing, attributes.
//!
//! The kernel works on a request inside `sendmsg` and has queued its answers when that returns, so these calls
//! neither block for long nor need a task: an attach costs a dozen of them and one thread hop. Nothing here knows
//! what a pod or a Service is.

mod attribute;
mod frame;
mod readiness;
mod socket;

pub(crate) use attribute::{Attributes, Writer, find};
pub(crate) use readiness::readiness;
pub(crate) use socket::{Answer, Error, Membership, Socket};
