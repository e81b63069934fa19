//! `keelson image`: the node's image store, used directly; the kubelet sees a new image at once.

use std::path::Path;

use anyhow::Result;
use keelson_runtime::image::ImageStore;

use super::output::print;
use crate::args::{Image, ImageCommand};
use crate::cluster::config::image_dir;
use crate::cluster::create_dir;
use crate::preflight;

/// Runs one image subcommand.
pub fn run(args: &Image) -> Result<()> {
    preflight::root()?;
    match &args.command {
        ImageCommand::Import { path, tag, cluster } => {
            let image = open(&cluster.data_dir)?.import(path, tag)?;
            println!("{} {}", image.tags.first().unwrap_or(tag), image.id);
        }
        ImageCommand::Ls { cluster } => list(&open(&cluster.data_dir)?)?,
        ImageCommand::Rm { image, cluster } => {
            open(&cluster.data_dir)?.remove(image)?;
            println!("removed {image}");
        }
    }
    Ok(())
}

fn open(data_dir: &Path) -> Result<ImageStore> {
    Ok(ImageStore::open(&image_dir(&create_dir(data_dir)?))?)
}

fn list(store: &ImageStore) -> Result<()> {
    let mut text = format!("{:<56} {:<14} {:>10}\n", "IMAGE", "ID", "SIZE");
    for image in store.list()? {
        let id = image.id.trim_start_matches("sha256:");
        let id = id.get(..12).unwrap_or(id);
        let size = human_size(image.size);
        let nameless = ["<none>".to_owned()];
        let tags = if image.tags.is_empty() {
            &nameless[..]
        } else {
            &image.tags
        };
        for tag in tags {
            text = format!("{text}{tag:<56} {id:<14} {size:>10}\n");
        }
    }
    print(&text);
    Ok(())
}

/// Bytes in the unit that leaves one to three digits before the point.
fn human_size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::human_size;

    #[test]
    fn sizes_read_well() {
        assert_eq!(human_size(0), "0 B");
        assert_eq!(human_size(2_203_648), "2.1 MiB");
        assert_eq!(human_size(u64::MAX), "16777216.0 TiB");
    }
}
