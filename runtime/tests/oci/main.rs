//! The OCI command line, through its program. Needs root. The same tests run on a proven runtime when
//! `KEELSON_TEST_OCI_RUNTIME` names one (crun, runc): a test that it fails is a wrong test, or says why the peer fails.

#[path = "../node/busybox.rs"]
mod busybox;
mod callers;
mod cgroups;
mod command_line;
#[cfg(target_arch = "x86_64")] // it reads registers
mod faults;
mod holder;
mod hooks;
mod life;
mod many;
mod mounts;
mod namespaces;
mod peers;
mod process;
mod rootfs;
mod seccomp;
mod support;
mod terminals;
mod users;
