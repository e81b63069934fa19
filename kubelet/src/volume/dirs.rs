//! Directories and mounts of one pod.
//!
//! Layout as upstream's: `pods/UID/volumes/kubernetes.io~KIND/NAME`, `pods/UID/containers/NAME/`.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Volume;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::Error;

/// A pod's directory below the kubelet's root.
#[derive(Debug, Clone)]
pub struct PodDir(PathBuf);

impl PodDir {
    /// The directory of that pod; not created yet.
    pub fn new(root: &Path, uid: &str) -> Self {
        Self(root.join("pods").join(uid))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where a volume lies.
    pub fn volume(&self, volume: &Volume) -> PathBuf {
        let kind = if volume.empty_dir.is_some() {
            "empty-dir"
        } else if volume.config_map.is_some() {
            "configmap"
        } else if volume.secret.is_some() {
            "secret"
        } else if volume.downward_api.is_some() {
            "downward-api"
        } else if volume.projected.is_some() {
            "projected"
        } else {
            "other"
        };
        self.0
            .join("volumes")
            .join(format!("kubernetes.io~{kind}"))
            .join(&volume.name)
    }

    /// A container's own files (termination logs).
    pub fn container(&self, name: &str) -> PathBuf {
        self.0.join("containers").join(name)
    }

    /// A file the kubelet writes for all containers (`etc-hosts`).
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Creates a directory with its parents, closed to other users at the pod's level.
pub fn create_private(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(path)
        .map_err(Error::io(format!("create {}", path.display())))
}

/// Mounts a tmpfs on `path` unless one is there already.
pub(super) fn mount_tmpfs(path: &Path, size: Option<u64>) -> Result<(), Error> {
    create_private(path)?;
    if is_mount_point(path)? {
        return Ok(());
    }
    let mode = "mode=0755".to_owned();
    let options = size.map_or(mode.clone(), |bytes| format!("{mode},size={bytes}"));
    mount(
        Some("tmpfs"),
        path,
        Some("tmpfs"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .map_err(|errno| Error::io(format!("mount tmpfs on {}", path.display()))(errno.into()))
}

fn is_mount_point(path: &Path) -> Result<bool, Error> {
    let device = |p: &Path| -> Result<u64, Error> {
        Ok(fs::symlink_metadata(p)
            .map_err(Error::io(format!("stat {}", p.display())))?
            .dev())
    };
    match path.parent() {
        Some(parent) => Ok(device(path)? != device(parent)?),
        None => Ok(true),
    }
}

/// Unmounts everything below the pod's directory and removes it. Goes on after an error and returns all of them.
pub fn unmount_all(dir: &PodDir) -> Result<(), Vec<Error>> {
    let mut errors = Vec::new();
    let below = |table: &str| -> Vec<PathBuf> {
        mount_points(table)
            .into_iter()
            .filter(|point| point.starts_with(&dir.0))
            .collect()
    };
    let table = match fs::read_to_string("/proc/self/mountinfo") {
        Ok(table) => table,
        Err(error) => return Err(vec![Error::io("read /proc/self/mountinfo")(error)]),
    };
    for point in below(&table).iter().rev() {
        if let Err(errno) = umount2(point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            errors.push(Error::io(format!("unmount {}", point.display()))(errno.into()));
        }
    }
    // Never delete through a mount that is still there.
    if errors.is_empty() {
        match fs::remove_dir_all(&dir.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                errors.push(Error::io(format!("remove {}", dir.0.display()))(error));
            }
            _ => {}
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Mount points in the order of `/proc/self/mountinfo`, which is the order of mounting: later ones lie on top.
fn mount_points(table: &str) -> Vec<PathBuf> {
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|field| PathBuf::from(unescape(field)))
        .collect()
}

/// Undoes the kernel's octal escapes (`\040` is a space).
fn unescape(field: &str) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt;
    let bytes = field.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = (bytes[at] == b'\\')
            .then(|| field.get(at + 1..at + 4))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let width = if octal.is_some() { 4 } else { 1 };
        out.push(octal.unwrap_or(bytes[at]));
        at += width;
    }
    std::ffi::OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_escapes() {
        let table = "36 35 98:0 /mnt1 /mnt\\040two rw,noatime master:1 - ext3 /dev/root rw\n\
                     37 35 0:5 / /plain rw - tmpfs tmpfs rw\n";
        assert_eq!(
            mount_points(table),
            [PathBuf::from("/mnt two"), PathBuf::from("/plain")]
        );
        assert_eq!(unescape("a\\0"), "a\\0");
        assert_eq!(unescape("\\134x"), "\\x");
    }
}
