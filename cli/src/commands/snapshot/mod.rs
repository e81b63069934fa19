//! `keelson snapshot`: the whole state of a cluster in one file.
//!
//! The file holds what the API server stores, Secrets included, and nothing else: keys and certificates (`DIR/pki`) and
//! `DIR/cluster.json` are for the operator to keep beside it.

pub mod args;
mod restore;
mod save;
mod status;

use std::path::Path;

use anyhow::{Result, bail};

use args::{Action, Snapshot};

use crate::cluster::Cluster;

/// Runs the subcommand.
pub fn run(args: &Snapshot) -> Result<()> {
    match &args.action {
        Action::Save(args) => save::run(args),
        Action::Restore(args) => restore::run(args),
        Action::Status(args) => status::run(args),
    }
}

/// Fails for a cluster whose objects are in etcd, and says what to do there: the embedded store's file is not looked at.
fn refuse_etcd(dir: &Path, action: &str) -> Result<()> {
    let Some(etcd) = Cluster::load(dir)?.and_then(|cluster| cluster.etcd) else {
        return Ok(());
    };
    bail!(
        "the objects of the cluster in {} are in etcd ({}): {}",
        dir.display(),
        etcd.servers.join(", "),
        etcd.servers().etcdctl(action)
    );
}
