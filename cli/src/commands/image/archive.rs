//! Images from and into files.

use std::fs::File;
use std::io::{BufWriter, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use keelson_runtime::image::{Archive, ImageStore, Platform};

use super::args::{ArchiveFormat, Export, Import};
use super::open;
use crate::commands::output::print;

/// `keelson image import`.
pub fn import(args: &Import) -> Result<ExitCode> {
    let platform = args.platform.clone().unwrap_or_else(Platform::host);
    let image = open(&args.cluster.data_dir)?.import_for(&args.path, &args.tag, &platform)?;
    let name = image.tags.first().map_or(args.tag.as_str(), String::as_str);
    print(&format!("{name} {}\n", image.id));
    Ok(ExitCode::SUCCESS)
}

/// `keelson image export`.
pub fn export(args: &Export) -> Result<ExitCode> {
    let form = match args.format {
        ArchiveFormat::OciArchive => Archive::Oci,
        ArchiveFormat::DockerArchive => Archive::Docker,
    };
    let store = open(&args.cluster.data_dir)?;
    if args.output == Path::new("-") {
        let stdout = std::io::stdout();
        if stdout.is_terminal() {
            bail!("refusing to write an archive to a terminal; use -o FILE or a pipe");
        }
        store.export(
            &args.images,
            form,
            BufWriter::with_capacity(256 << 10, stdout.lock()),
        )?;
    } else {
        into_file(&store, args, form)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The file has its name only when it is whole.
fn into_file(store: &ImageStore, args: &Export, form: Archive) -> Result<()> {
    let path = &args.output;
    // A pipe or device is written to as it is.
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let file = File::options().write(true).open(path);
        let file = file.with_context(|| format!("opening {}", path.display()))?;
        return Ok(store.export(&args.images, form, file)?);
    }
    let mut temporary = path.clone().into_os_string();
    temporary.push(format!(".{}.partial", std::process::id()));
    let written = || -> Result<()> {
        let file = File::create(&temporary).with_context(|| format!("creating {}", path.display()))?;
        store.export(&args.images, form, BufWriter::with_capacity(256 << 10, file))?;
        std::fs::rename(&temporary, path).with_context(|| format!("creating {}", path.display()))
    };
    written().inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}
