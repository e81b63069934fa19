//! What machines boot from, and how they are run here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::disk::run;
use crate::{Error, work};

/// A kernel that machines can boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Debian 12's: the default.
    Linux6_1,
    /// Debian 12's backport.
    Linux6_12,
}

impl Kernel {
    /// Both, the default first.
    pub const ALL: [Self; 2] = [Self::Linux6_1, Self::Linux6_12];

    /// The series, as `rootfs/vm/build` names it.
    pub fn series(self) -> &'static str {
        match self {
            Self::Linux6_1 => "6.1",
            Self::Linux6_12 => "6.12",
        }
    }
}

/// How instructions are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// Hardware virtualization.
    Kvm,
    /// Software emulation: everything takes 5 to 20 times as long.
    Emulation,
}

/// Everything that machines have in common.
#[derive(Debug)]
pub struct Lab {
    images: PathBuf,
    /// How machines run here.
    pub accelerator: Accelerator,
    /// QEMU's major version.
    pub(crate) qemu: u32,
}

impl Lab {
    /// Makes the images with `rootfs/vm/build` where they are missing, and finds out how machines can be run here.
    pub fn new() -> Result<Self, Error> {
        work::remove_stale();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../rootfs/vm/build");
        let output = run("rootfs/vm/build", &mut Command::new(script))?;
        let images = PathBuf::from(String::from_utf8_lossy(&output).trim());
        let version = run(
            "qemu-system-x86_64 --version",
            Command::new("qemu-system-x86_64").arg("--version"),
        )?;
        let qemu = major_version(&String::from_utf8_lossy(&version)).ok_or_else(|| Error::Program {
            what: "reading QEMU's version".into(),
            output: String::from_utf8_lossy(&version).into_owned(),
        })?;
        let mut lab = Self {
            images,
            accelerator: Accelerator::Emulation,
            qemu,
        };
        lab.accelerator = lab.probe();
        Ok(lab)
    }

    /// The kernel image.
    pub(crate) fn vmlinux(&self, kernel: Kernel) -> PathBuf {
        self.images
            .join(format!("kernel-{}", kernel.series()))
            .join("vmlinux")
    }

    /// The kernel's modules and the first process, as an initial RAM disk.
    pub(crate) fn initrd(&self, kernel: Kernel) -> PathBuf {
        self.images
            .join(format!("kernel-{}", kernel.series()))
            .join("initrd")
    }

    /// The root filesystem.
    pub(crate) fn root(&self) -> PathBuf {
        self.images.join("root.erofs")
    }

    /// Boots once with hardware virtualization: an openable `/dev/kvm` does not mean that it works. The answer is kept
    /// beside the images until the machine boots anew.
    fn probe(&self) -> Accelerator {
        if fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_err()
        {
            return Accelerator::Emulation;
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let answer = self.images.join("kvm");
        let kept = fs::read_to_string(&answer).unwrap_or_default();
        let works = match kept.strip_prefix(boot.as_str()) {
            Some(kept) if !boot.is_empty() => kept == "works",
            _ => {
                let works = kvm_boots(&self.vmlinux(Kernel::Linux6_1), &self.initrd(Kernel::Linux6_1));
                // Without a kept answer the next run asks again.
                let _ = fs::write(&answer, boot + if works { "works" } else { "fails" });
                works
            }
        };
        if works {
            Accelerator::Kvm
        } else {
            Accelerator::Emulation
        }
    }
}

/// Whether a machine reaches its first process with KVM: without disks, that process gives up and the machine ends.
fn kvm_boots(vmlinux: &Path, initrd: &Path) -> bool {
    let mut command = Command::new("timeout");
    command
        .args([
            "-s",
            "KILL",
            "10",
            "qemu-system-x86_64",
            "-machine",
            "pc",
            "-accel",
            "kvm",
        ])
        .args(["-cpu", "host", "-m", "256", "-nodefaults", "-display", "none"])
        .args(["-serial", "stdio", "-no-reboot", "-kernel"])
        .arg(vmlinux)
        .arg("-initrd")
        .arg(initrd)
        .args(["-append", "console=ttyS0 quiet panic=-1 keelson.probe"])
        .stdin(Stdio::null());
    command
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("machine-init: up"))
}

fn major_version(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("version ")?;
    rest.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_qemu() {
        assert_eq!(
            major_version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright"),
            Some(7)
        );
        assert_eq!(major_version("QEMU emulator version 10.0.2"), Some(10));
        assert_eq!(major_version("no"), None);
    }
}
