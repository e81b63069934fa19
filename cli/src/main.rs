//! The `keelson` binary: one command for every part.
//!
//! `keelson up` supervises three daemons, which are this same binary with another subcommand; everything else is a
//! short-lived command. Here is only what ties the parts together: the command line, the cluster's file on disk and
//! the supervisor.

mod args;
mod cluster;
mod commands;
mod logging;
mod preflight;
mod supervisor;

use std::process::ExitCode;

use args::{Arguments, Command};
use clap::Parser;

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Up(args) => commands::up::run(&args),
        Command::Down(args) => commands::down::down(&args),
        Command::Reset(args) => commands::down::reset(&args),
        Command::Status(args) => commands::status::run(&args),
        Command::Image(args) => commands::image::run(&args),
        Command::Control(args) => commands::daemon::control(&args),
        Command::Kubelet(args) => commands::daemon::kubelet(&args),
        Command::Netd(args) => commands::daemon::netd(&args),
        Command::Runtime(_) => Err(anyhow::anyhow!("the OCI command line is not there yet")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keelson: {error:#}");
            ExitCode::FAILURE
        }
    }
}
