//! Writes an OCI archive (image layout in a tar) with one layer, from a recipe on standard input:
//!
//! ```text
//! name docker.io/library/busybox:1.36
//! env PATH=/bin
//! cmd sh
//! dir tmp 1777
//! file bin/busybox 755 /usr/bin/busybox
//! text etc/passwd 644 root:x:0:0:root:/root:/bin/sh\n
//! hardlink bin/sh bin/busybox
//! ```
//!
//! The result depends on the recipe and the files only: no times, no users, no order of directories.

mod archive;
mod recipe;

use std::io::Read;

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [output] = arguments.as_slice() else {
        bail!("usage: keelson-mkimage OUTPUT.tar < RECIPE")
    };
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .context("reading the recipe")?;
    let recipe = recipe::parse(&text)?;
    let bytes = archive::build(&recipe)?;
    // Never a half-written image under the final name.
    let partial = std::path::Path::new(output).with_extension("partial");
    std::fs::write(&partial, &bytes).with_context(|| format!("writing {}", partial.display()))?;
    std::fs::rename(&partial, output).with_context(|| format!("renaming to {}", output.display()))?;
    println!("{}: {} KiB", output.display(), bytes.len() >> 10);
    Ok(())
}
