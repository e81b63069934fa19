//! Processes that have namespaces for others to join.

use std::fs;
use std::process::{Child, Command, Stdio};

/// A process with namespaces of its own, until dropped.
pub(crate) struct Holder(pub(crate) Child);

impl Holder {
    /// By the options of unshare(1).
    pub(crate) fn new(options: &[&str]) -> Self {
        Self::through(&["env"], options)
    }

    /// As [`Holder::new`], with a command in front.
    pub(crate) fn through(command: &[&str], options: &[&str]) -> Self {
        let child = Command::new(command[0])
            .args(&command[1..])
            .arg("unshare")
            .args(options)
            .args(["sh", "-c", "echo; exec sleep 1000"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut holder = Self(child);
        std::io::Read::read_exact(holder.0.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        holder
    }

    /// A user namespace whose ids begin at `first` outside.
    pub(crate) fn user(first: u32) -> Self {
        let holder = Self::new(&["--user"]);
        holder.map(first);
        holder
    }

    pub(crate) fn map(&self, first: u32) {
        for file in ["uid_map", "gid_map"] {
            fs::write(
                format!("/proc/{}/{file}", self.0.id()),
                format!("0 {first} 65536"),
            )
            .unwrap();
        }
    }

    pub(crate) fn path(&self, kind: &str) -> String {
        format!("/proc/{}/ns/{kind}", self.0.id())
    }

    pub(crate) fn inode(&self, kind: &str) -> String {
        fs::read_link(self.path(kind))
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
