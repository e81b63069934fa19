//! What a machine is made of, before it is booted.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::disk::Content;
use crate::{Disk, Error, Kernel, Lab, Machine, Port};

/// Description of a machine.
#[derive(Debug, Clone)]
pub struct Setup {
    pub(crate) kernel: Kernel,
    pub(crate) memory: u32,
    pub(crate) files: Vec<(PathBuf, Content)>,
    pub(crate) disks: Vec<PathBuf>,
    pub(crate) links: Vec<(Port, String)>,
    pub(crate) forwards: Vec<u16>,
    pub(crate) append: String,
}

impl Setup {
    /// A machine with two processors, 1 GiB of memory, the root filesystem of `rootfs/vm`, and no network.
    pub fn new(kernel: Kernel) -> Self {
        Self {
            kernel,
            memory: 1024,
            files: Vec::new(),
            disks: Vec::new(),
            links: Vec::new(),
            forwards: Vec::new(),
            append: String::new(),
        }
    }

    /// Memory in MiB.
    #[must_use]
    pub fn memory(mut self, mib: u32) -> Self {
        self.memory = mib;
        self
    }

    /// Puts a file of the host into the machine, with its mode, at an absolute path.
    #[must_use]
    pub fn file(mut self, source: impl AsRef<Path>, path: impl AsRef<Path>) -> Self {
        self.files
            .push((path.as_ref().into(), Content::File(source.as_ref().into())));
        self
    }

    /// Puts a text into the machine at an absolute path.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>, path: impl AsRef<Path>) -> Self {
        self.files
            .push((path.as_ref().into(), Content::Text(text.into())));
        self
    }

    /// Mounts a disk that survives the machine: the first at `/disk0`, the next at `/disk1`, ...
    #[must_use]
    pub fn disk(mut self, disk: &Disk) -> Self {
        self.disks.push(disk.path());
        self
    }

    /// Connects the next interface (`eth0`, `eth1`, ...) to a switch, with that address in CIDR form.
    #[must_use]
    pub fn link(mut self, port: &Port, address: impl Into<String>) -> Self {
        self.links.push((port.clone(), address.into()));
        self
    }

    /// Makes a TCP port of the machine reachable on the host's loopback: see [`Machine::forwarded`].
    #[must_use]
    pub fn forward(mut self, port: u16) -> Self {
        self.forwards.push(port);
        self
    }

    /// Adds words to the kernel's command line.
    #[must_use]
    pub fn append(mut self, words: &str) -> Self {
        self.append = format!("{} {words}", self.append);
        self
    }

    /// Boots the machine; a failed boot is tried again.
    pub fn boot(&self, lab: &Lab) -> Result<Machine, Error> {
        Machine::boot(self, lab)
    }

    /// The commands that give the interfaces their addresses. `eth` interfaces are numbered in the order of the links;
    /// the one to the host, if any, comes last.
    pub(crate) fn network_script(&self) -> String {
        use std::fmt::Write;
        let mut script = String::from("set -e\n");
        for (n, (_, address)) in self.links.iter().enumerate() {
            let _ = writeln!(script, "ip addr add {address} dev eth{n}; ip link set eth{n} up");
        }
        if !self.forwards.is_empty() {
            let n = self.links.len();
            let guest = Ipv4Addr::new(10, 0, 2, 15);
            let _ = writeln!(
                script,
                "ip addr add {guest}/24 dev eth{n}; ip link set eth{n} up; ip route add default via 10.0.2.2"
            );
        }
        script
    }
}
