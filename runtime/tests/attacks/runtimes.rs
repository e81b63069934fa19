//! The runtimes under attack: ours, and crun as the peer that shows whether an attack is a fair one.

use std::any::Any;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bundle::Bundle;

/// A program with runc's command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    pub program: PathBuf,
    pub ours: bool,
}

/// crun 1.8 refuses a machine with both cgroup versions when version 2 has a controller: it gets a mount namespace
/// without the latter.
const WITHOUT_CGROUP2: &str = "umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$0\" \"$@\"";

impl Runtime {
    /// Ours; `KEELSON_TEST_OCI_RUNTIME` names another build of it.
    pub fn keelson() -> Self {
        let other = std::env::var_os("KEELSON_TEST_OCI_RUNTIME");
        Self {
            program: other.map_or_else(|| env!("CARGO_BIN_EXE_keelson-oci").into(), PathBuf::from),
            ours: true,
        }
    }

    fn crun() -> Option<Self> {
        let program =
            std::env::var_os("KEELSON_TEST_PEER").map_or_else(|| "/usr/bin/crun".into(), PathBuf::from);
        program.exists().then_some(Self { program, ours: false })
    }

    /// The program and the arguments that come before its own.
    pub fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if !self.ours {
            words.extend(["unshare", "-m", "sh", "-c", WITHOUT_CGROUP2].map(Into::into));
        }
        words.push(self.program.clone().into());
        words
    }

    /// The same runtime from a copy of its file, which an attack may spoil.
    pub fn copied_to(&self, directory: &Path) -> Self {
        let program = directory.join("runtime-under-attack");
        std::fs::copy(&self.program, &program).unwrap();
        Self {
            program,
            ours: self.ours,
        }
    }
}

/// Makes the attack on the peer. Where it is known to fall, `known` says why; a fall that is not known means that the
/// attack asks too much.
pub fn on_peer(attack: fn(&Runtime), known: Option<&str>) {
    let Some(peer) = Runtime::crun() else {
        println!("no crun on this machine: not compared");
        return;
    };
    let version = Command::new(&peer.program).arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout);
    let version = version.lines().next().unwrap_or_default().to_owned();
    let plain = Bundle::new(&peer, &["true"]).run();
    assert!(plain.ok(), "{version} does not run at all: {}", plain.text);
    match (catch_unwind(AssertUnwindSafe(|| attack(&peer))), known) {
        (Ok(()), None) => println!("{version} holds"),
        (Ok(()), Some(why)) => println!("{version} holds, though it was known to fall: {why}"),
        (Err(panic), Some(why)) => println!("{version} falls: {why}\nseen: {}", words(panic.as_ref())),
        (Err(panic), None) => panic!("{version} falls, and nobody knew why: {}", words(panic.as_ref())),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("?")
}

/// `attack!(name)` makes a test of `fn name(&Runtime)` for each runtime; `attack!(name, "why")` where the peer is known
/// to fall.
macro_rules! attack {
    ($name:ident) => {
        attack!(@ $name, None);
    };
    ($name:ident, $why:expr) => {
        attack!(@ $name, Some($why));
    };
    (@ $name:ident, $known:expr) => {
        mod $name {
            #[test]
            fn keelson() {
                super::$name(&crate::runtimes::Runtime::keelson());
            }
            #[test]
            fn peer() {
                #[allow(unused_imports)] // the reason may have a name
                use super::*;
                crate::runtimes::on_peer(super::$name, $known);
            }
        }
    };
}
pub(crate) use attack;
