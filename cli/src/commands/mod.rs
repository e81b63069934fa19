//! One file per subcommand.

pub mod daemon;
pub mod down;
pub mod image;
mod node;
mod output;
pub mod snapshot;
pub mod status;
pub mod up;
