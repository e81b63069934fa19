//! To and from registries.

use std::process::ExitCode;

use anyhow::Result;
use keelson_runtime::image::PullOptions;

use super::access::access;
use super::args::{Pull, Push};
use super::open;
use crate::commands::output::print;

/// `keelson image pull`.
pub fn pull(args: &Pull) -> Result<ExitCode> {
    let options = PullOptions {
        access: access(&args.registry, &args.image)?,
        platform: args.platform.clone(),
    };
    let image = open(&args.cluster.data_dir)?.pull(&args.image, &options)?;
    if args.quiet {
        print(&format!("{}\n", image.id));
    } else {
        let name = image.tags.first().map_or(args.image.as_str(), String::as_str);
        print(&format!("{name} {}\n", image.id));
        for digest in &image.digests {
            print(&format!("Digest: {digest}\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `keelson image push`.
pub fn push(args: &Push) -> Result<ExitCode> {
    let to = args.destination.as_deref().unwrap_or(&args.image);
    let access = access(&args.registry, to)?;
    let digest = open(&args.cluster.data_dir)?.push(&args.image, args.destination.as_deref(), &access)?;
    if args.quiet {
        print(&format!("{digest}\n"));
    } else {
        print(&format!("{to}: digest: {digest}\n"));
    }
    Ok(ExitCode::SUCCESS)
}
