//! ServiceCIDRs, the ranges that the addresses of Services come from, and the IPAddresses that show which are taken.
//!
//! The Services are the record of what is taken, and an IPAddress follows its Service ([`address`]): at the start, and
//! whenever one of the two changes. [`cidr`] makes ServiceCIDRs ready and lets them go once nobody needs them.
//!
//! Source: `pkg/controller/servicecidrs`, `pkg/controlplane/controller/defaultservicecidr` and
//! `pkg/registry/core/service/ipallocator/controller` upstream.

mod address;
mod cidr;
mod prefix;
#[cfg(test)]
mod tests;
mod told;

use tokio::task::JoinSet;

use super::Context;

/// Starts both controllers.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    address::start(context, tasks);
    cidr::start(context, tasks);
}
