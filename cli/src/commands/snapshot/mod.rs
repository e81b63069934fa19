//! `keelson snapshot`: the whole state of a cluster in one file.
//!
//! The file holds what the API server stores, Secrets included, and nothing else: keys and certificates (`DIR/pki`) and
//! `DIR/cluster.json` are for the operator to keep beside it.

pub mod args;
mod restore;
mod save;
mod status;

use anyhow::Result;

use args::{Action, Snapshot};

/// Runs the subcommand.
pub fn run(args: &Snapshot) -> Result<()> {
    match &args.action {
        Action::Save(args) => save::run(args),
        Action::Restore(args) => restore::run(args),
        Action::Status(args) => status::run(args),
    }
}
