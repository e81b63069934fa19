//! What upstream's server of 1.20 and ours, asked the same, answered differently, where 1.33 still answers as 1.20 did.

mod core;
mod groups;
mod pods;

use super::*;
