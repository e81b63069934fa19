//! The garbage collector: what is left without an owner goes, in the order that the deletion asked for.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/garbagecollector`. A graph of all objects ([`graph`]) is fed by the
//! shared informers and, for the other resources, by watches of metadata only ([`feed`]). What an object needs is a
//! pure decision ([`decide`]) over the graph and the live object; [`controller`] carries it out.

mod controller;
mod decide;
mod feed;
mod graph;
#[cfg(test)]
mod tests;

pub use controller::start;
