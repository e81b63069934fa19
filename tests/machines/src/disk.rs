//! Disks of machines: layers of files that are put in, and disks that survive a machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, work};

/// Runs a program of the host to its end; its output is the error.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<Vec<u8>, Error> {
    let output = command.output().map_err(Error::io(what))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(Error::Program {
        what: what.into(),
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A file or text, and its absolute path in the machine.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    File(PathBuf),
    Text(String),
}

/// Packs files into an erofs image that machines stack on their root filesystem.
pub(crate) fn layer(files: &[(PathBuf, Content)], work: &Path) -> Result<PathBuf, Error> {
    let tree = work.join("layer");
    let what = |path: &Path| format!("putting {} into a layer", path.display());
    fs::create_dir_all(&tree).map_err(Error::io(what(&tree)))?;
    for (path, content) in files {
        let target = tree.join(path.strip_prefix("/").unwrap_or(path));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(Error::io(what(path)))?;
        }
        match content {
            Content::Text(text) => fs::write(&target, text).map_err(Error::io(what(path)))?,
            Content::File(source) => {
                // A link costs nothing; across file systems it has to be a copy.
                if fs::hard_link(source, &target).is_err() {
                    fs::copy(source, &target).map_err(Error::io(what(source)))?;
                }
            }
        }
    }
    let image = work.join("layer.erofs");
    let mut command = Command::new("mkfs.erofs");
    command.args(["--quiet", "-T", "0"]).arg(&image).arg(&tree);
    run("mkfs.erofs", &mut command)?;
    fs::remove_dir_all(&tree).map_err(Error::io("removing a packed layer"))?;
    Ok(image)
}

/// A disk with an ext4 file system that outlives the machines it is put into. Its file goes with it.
#[derive(Debug)]
pub struct Disk {
    directory: tempfile::TempDir,
}

impl Disk {
    /// Makes an empty disk of that many MiB.
    pub fn new(mib: u64) -> Result<Self, Error> {
        let directory = work::directory()?;
        let disk = Self { directory };
        File::create(disk.path())
            .and_then(|file| file.set_len(mib << 20))
            .map_err(Error::io("making a disk"))?;
        // Tables are written now: a machine that is cut short must not be busy with them.
        let options = "lazy_itable_init=0,lazy_journal_init=0";
        let mut command = Command::new("mkfs.ext4");
        command.args(["-q", "-F", "-E", options]).arg(disk.path());
        run("mkfs.ext4", &mut command)?;
        Ok(disk)
    }

    /// The image's file.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    /// A second disk with the same contents, as after moving it to another machine.
    pub fn copy(&self) -> Result<Self, Error> {
        let directory = work::directory()?;
        let mut command = Command::new("cp");
        command
            .args(["--sparse=always"])
            .arg(self.path())
            .arg(directory.path().join("disk"));
        run("copying a disk", &mut command)?;
        Ok(Self { directory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_fail_are_quoted() {
        let error = run("asking", Command::new("sh").args(["-c", "echo no >&2; exit 1"])).unwrap_err();
        assert!(error.to_string().contains("asking failed: no"), "{error}");
        assert_eq!(run("saying", Command::new("echo").arg("yes")).unwrap(), b"yes\n");
    }
}
