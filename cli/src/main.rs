//! The `keelson` binary: one command for every part.
//!
//! `keelson up` supervises three daemons, which are this same binary with another subcommand; everything else is a
//! short-lived command. Here is only what ties the parts together: the command line, the cluster's file on disk and
//! the supervisor.

mod args;
mod cluster;
mod commands;
mod event_loop;
mod logging;
mod pages;
mod preflight;
mod supervisor;

use std::process::ExitCode;

use args::{Arguments, Command};
use clap::Parser;
use keelson_runtime::oci_main;

/// A third less CPU for the API server's requests than with glibc's heap. What it is told is in `heap.c`.
#[global_allocator]
static HEAP: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // The OCI command line has its own parser, and starts without tokio or logging.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "runtime") {
        return ExitCode::from(u8::try_from(oci_main(arguments)).unwrap_or(u8::MAX));
    }
    let result = match Arguments::parse().command {
        Command::Up(args) => commands::up::run(&args),
        Command::Down(args) => commands::down::down(&args),
        Command::Reset(args) => commands::down::reset(&args),
        Command::Status(args) => commands::status::run(&args),
        Command::Image(args) => return commands::image::run(&args),
        Command::Snapshot(args) => commands::snapshot::run(&args),
        Command::Control(args) => commands::daemon::control(&args),
        Command::Kubelet(args) => commands::daemon::kubelet(&args),
        Command::Netd(args) => commands::daemon::netd(&args),
        Command::Runtime(_) => unreachable!("handled above"),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keelson: {error:#}");
            ExitCode::FAILURE
        }
    }
}
