//! `install`: this program as a file, for callers that want a runtime by path (`podman --runtime`, containerd's
//! `BinaryName`) and not the whole `keelson` binary.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Error;

/// Writes it beside the file, then in its place: a command that runs keeps the old one.
pub(super) fn install(args: &[String]) -> Result<(), Error> {
    let [path] = args else {
        return Err(Error::Usage("install takes the file to write".to_owned()));
    };
    let path = Path::new(path);
    let what = || format!("writing {}", path.display());
    let name = path
        .file_name()
        .ok_or_else(|| Error::Invalid(format!("{} is no file name", path.display())))?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(beside);
    let write = || {
        fs::copy("/proc/self/exe", &beside)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o755))?;
        fs::rename(&beside, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&beside); // absent if it could not be made
        Error::io(what())(error)
    })
}
