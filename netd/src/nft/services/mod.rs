//! The table `keelson-ID`: the Service proxy.
//!
//! ```text
//! map svc   VIP . protocol . port          -> class        map np     protocol . port        -> class
//! map ep    VIP . protocol . port . slot   -> endpoint     map npep   protocol . port . slot -> endpoint
//! map slot  VIP . protocol . port . slot   -> endpoint id  map npslot likewise                (session affinity)
//! map epid  endpoint id -> endpoint                        map aff    client . VIP . protocol . port -> endpoint id
//! map disp  class -> goto the chain of the class
//! ```
//! A class is what rules must know of a frontend: how many endpoints it has, whether the client's address is hidden,
//! whether clients stay with their endpoint. There are a few dozen at most, however many Services there are, so a
//! change of a Service is a change of elements only. Verdict maps are validated as a whole on every change, so there
//! is one, and it is small (trap 2).

mod class;
mod elements;
mod layout;
mod program;

pub(crate) use program::{Proxy, Settings};
