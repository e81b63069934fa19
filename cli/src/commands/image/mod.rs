//! `keelson image`: the node's image store, used directly; the kubelet sees a new image at once.
//!
//! - [`args`]: the command line.
//! - [`list`], [`inspect`]: what is there.
//! - [`transfer`], [`access`]: to and from registries.
//! - [`archive`]: to and from files.
//! - [`tidy`]: removing, collecting, checking.

mod access;
mod archive;
pub mod args;
mod human;
mod inspect;
mod list;
mod tidy;
mod transfer;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use keelson_runtime::image::ImageStore;

use crate::cluster::config::image_dir;
use crate::cluster::create_dir;
use crate::preflight;
use args::{Image, ImageCommand};

/// Exit status when an image is in use (as podman's).
const IN_USE: u8 = 2;

/// Runs one image subcommand. Exit status: 0 done; 1 failed, or no such image; 2 an image to be removed is in use, or the
/// command line is wrong.
pub fn run(args: &Image) -> ExitCode {
    match command(&args.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("keelson: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(command: &ImageCommand) -> Result<ExitCode> {
    preflight::root()?;
    match command {
        ImageCommand::Import(args) => archive::import(args),
        ImageCommand::Export(args) => archive::export(args),
        ImageCommand::Ls(args) => list::run(args),
        ImageCommand::Inspect(args) => inspect::run(args),
        ImageCommand::Tag(args) => tidy::tag(args),
        ImageCommand::Rm(args) => tidy::remove(args),
        ImageCommand::Gc(args) => tidy::collect(args),
        ImageCommand::Check(args) => tidy::check(args),
        ImageCommand::Pull(args) => transfer::pull(args),
        ImageCommand::Push(args) => transfer::push(args),
    }
}

fn open(data_dir: &Path) -> Result<ImageStore> {
    Ok(ImageStore::open(&image_dir(&create_dir(data_dir)?))?)
}

/// An id without the algorithm's name, cut to what lists show.
fn short(id: &str) -> &str {
    let id = id.trim_start_matches("sha256:");
    id.get(..12).unwrap_or(id)
}

/// Success, unless something failed that was said already.
fn code(failures: u8) -> ExitCode {
    ExitCode::from(failures)
}
