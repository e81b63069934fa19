//! Cluster DNS, served by every node for its own pods at the address of the cluster's DNS Service.
//!
//! `zone` answers from what is known of Services (pure), after the Kubernetes DNS specification 1.1.0 and, where that
//! is silent, CoreDNS's defaults; `message` reads queries and writes answers (pure); `forward` asks the node's own
//! resolvers about everything else; `resolv` follows their configuration; `server` listens.

mod forward;
mod message;
mod resolv;
mod server;
mod zone;

pub(crate) use server::{Access, Server};
pub(crate) use zone::Zone;
