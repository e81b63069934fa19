//! Endpoints and EndpointSlices of services with a selector.
//!
//! Both are made from the same list of backends; services without a selector are left to whoever makes theirs.

mod backends;
mod controller;
mod legacy;
mod slices;
#[cfg(test)]
mod tests;

pub use controller::start;
