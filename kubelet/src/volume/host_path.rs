//! `hostPath`: a file or directory of the node, checked for its type.
//!
//! Source: `pkg/volume/hostpath/host_path.go` (types and messages).

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use k8s_openapi::api::core::v1::HostPathVolumeSource;
use keelson_runtime::node::SourceKind;

use super::Error;

/// Checks the type, and creates what may be created.
pub(super) fn prepare(source: &HostPathVolumeSource) -> Result<(), Error> {
    let path = Path::new(&source.path);
    let wanted = source.type_.as_deref().unwrap_or_default();
    let found = match fs::metadata(path) {
        Ok(metadata) => Some(metadata.file_type()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(Error::io(format!("stat {}", path.display()))(error)),
    };
    let Some(found) = found else {
        return match wanted {
            // Without a type a missing path becomes a directory, as container runtimes make it.
            "" | "DirectoryOrCreate" => create_directory(path),
            "FileOrCreate" => create_file(path),
            _ => Err(mismatch(path, wanted)),
        };
    };
    let fits = match wanted {
        "" => true,
        "Directory" | "DirectoryOrCreate" => found.is_dir(),
        "File" | "FileOrCreate" => found.is_file(),
        "Socket" => found.is_socket(),
        "CharDevice" => found.is_char_device(),
        "BlockDevice" => found.is_block_device(),
        _ => return Err(Error::Content(format!("{wanted:?} is an invalid volume type"))),
    };
    if fits { Ok(()) } else { Err(mismatch(path, wanted)) }
}

/// What the type asks for, to be checked again on what is mounted.
pub(super) fn kind(source: &HostPathVolumeSource) -> Option<SourceKind> {
    match source.type_.as_deref()? {
        "Directory" | "DirectoryOrCreate" => Some(SourceKind::Directory),
        "File" | "FileOrCreate" => Some(SourceKind::File),
        "Socket" => Some(SourceKind::Socket),
        "CharDevice" => Some(SourceKind::CharDevice),
        "BlockDevice" => Some(SourceKind::BlockDevice),
        _ => None,
    }
}

fn mismatch(path: &Path, wanted: &str) -> Error {
    let what = match wanted {
        "Directory" | "DirectoryOrCreate" => "a directory",
        "Socket" => "a socket file",
        "CharDevice" => "a character device",
        "BlockDevice" => "a block device",
        _ => "a file",
    };
    Error::Content(format!(
        "hostPath type check failed: {} is not {what}",
        path.display()
    ))
}

fn create_directory(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(Error::io(format!("create {}", path.display())))
}

fn create_file(path: &Path) -> Result<(), Error> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)
        .map(drop)
        .map_err(Error::io(format!("create {}", path.display())))
}
