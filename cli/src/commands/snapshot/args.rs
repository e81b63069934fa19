//! The command line of `keelson snapshot`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::{DataDir, Output};

/// `keelson snapshot`.
#[derive(Debug, Args)]
pub struct Snapshot {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with snapshots.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Save the state of a cluster, running or stopped, to a file
    Save(Save),
    /// Make a stopped cluster's store from a file
    Restore(Restore),
    /// Check a file and show what is in it
    Status(Status),
}

/// `keelson snapshot save`.
#[derive(Debug, Args)]
pub struct Save {
    /// File to write; one that exists is replaced when the new one is complete
    pub file: PathBuf,
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
    /// Save a cluster that runs elsewhere, with this kubeconfig of an administrator
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    pub kubeconfig: Option<PathBuf>,
}

/// `keelson snapshot restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// File to read
    pub file: PathBuf,
    /// The cluster
    #[command(flatten)]
    pub cluster: DataDir,
    /// Replace the store that is there; it is kept as store.redb.before-restore
    #[arg(long)]
    pub force: bool,
    /// How far to raise resourceVersions: above all that clients may have seen since the snapshot was taken
    #[arg(long, value_name = "N", default_value_t = keelson_control::store::snapshot::BUMP)]
    pub bump_revision: u64,
}

/// `keelson snapshot status`.
#[derive(Debug, Args)]
pub struct Status {
    /// File to check
    pub file: PathBuf,
    /// Output format
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: Output,
}
