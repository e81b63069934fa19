//! `keelson image inspect`: a JSON list, with the field names that `docker inspect` and `podman inspect` share.

use std::process::ExitCode;

use anyhow::Result;
use keelson_runtime::image::Details;
use serde_json::{Value, json};

use super::args::Inspect;
use super::{code, open};
use crate::commands::output::print;

/// Prints what was found; what was not is an error each.
pub fn run(args: &Inspect) -> Result<ExitCode> {
    let store = open(&args.cluster.data_dir)?;
    let (mut found, mut failures) = (Vec::new(), 0);
    for image in &args.images {
        match store.inspect(image) {
            Ok(Some(details)) => found.push(describe(&details)),
            Ok(None) => {
                eprintln!("keelson: image {image:?} not found");
                failures = 1;
            }
            Err(error) => {
                eprintln!("keelson: {error}");
                failures = 1;
            }
        }
    }
    print(&format!("{:#}\n", Value::Array(found)));
    Ok(code(failures))
}

fn describe(details: &Details) -> Value {
    let config = &details.config;
    let diff_ids: Vec<_> = details.layers.iter().map(|layer| &layer.diff_id).collect();
    let layers: Vec<_> = details
        .layers
        .iter()
        .map(|layer| {
            json!({
                "Digest": layer.digest,
                "MediaType": layer.media_type,
                "Size": layer.size,
                "DiffID": layer.diff_id,
                "ChainID": layer.chain_id,
                "Path": layer.path,
                "UnpackedSize": layer.unpacked_size,
            })
        })
        .collect();
    json!({
        "Id": details.id,
        "RepoTags": details.tags,
        "RepoDigests": details.digests,
        "Digest": details.manifest,
        "MediaType": details.media_type,
        "Created": config["created"],
        "Author": config["author"],
        "Architecture": config["architecture"],
        "Variant": config["variant"],
        "Os": config["os"],
        "Size": details.layers.iter().map(|layer| layer.unpacked_size).sum::<u64>(),
        "Config": config["config"],
        "RootFS": {"Type": "layers", "Layers": diff_ids},
        "Layers": layers,
        "History": config["history"],
        "Origins": details.origins,
        "UsedBy": details.used_by,
    })
}
