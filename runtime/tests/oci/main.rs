//! The OCI command line, through its program. Needs root. The same tests run on a proven runtime when
//! `KEELSON_TEST_OCI_RUNTIME` names one (crun, runc): a test that it fails is a wrong test, or says why the peer fails.

#[path = "../node/busybox.rs"]
mod busybox;
mod hooks;
mod life;
mod mounts;
mod namespaces;
mod process;
mod seccomp;
mod support;
