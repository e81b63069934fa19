//! The runtimes that others wrote.
//!
//! The newest crun may come from a later Debian release than the machine's: `runtime/benches/oci/fetch-crun` unpacks it with
//! its C library into the directory that `KEELSON_BENCH_CRUN` names. On a host with both cgroup versions, crun and runc
//! run in a mount namespace without the second, which confuses them.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use keelson_runtime::sys;

use super::commands::Runtime;
use super::{Outcome, why};

/// Where the unpacked crun expects its loader: a symbolic link for as long as the benchmark runs.
const LINK: &str = "/run/klcrun";
/// The cgroup v2 hierarchy of a host that has both.
const UNIFIED: &std::ffi::CStr = c"/sys/fs/cgroup/unified";

/// A mount namespace without the cgroup v2 hierarchy.
pub struct Hidden {
    home: File,
    there: File,
}

/// Being there, until dropped.
pub struct Visit<'a>(&'a Hidden);

fn own_namespace() -> Outcome<File> {
    File::open("/proc/self/ns/mnt").map_err(why("opening the mount namespace"))
}

impl Hidden {
    /// `None` on hosts that do not need it.
    fn make() -> Outcome<Option<Self>> {
        if !Path::new("/sys/fs/cgroup/unified/cgroup.procs").exists() {
            return Ok(None);
        }
        let home = own_namespace()?;
        let make = || {
            sys::unshare(libc::CLONE_NEWNS)?;
            sys::make_tree_private()?;
            sys::unmount(UNIFIED)
        };
        make().map_err(why("hiding the unified hierarchy"))?;
        let hidden = Self {
            home,
            there: own_namespace()?,
        };
        drop(Visit(&hidden)); // back home
        Ok(Some(hidden))
    }

    pub fn enter(&self) -> Outcome<Visit<'_>> {
        sys::enter(self.there.as_fd(), libc::CLONE_NEWNS).map_err(why("entering the mount namespace"))?;
        Ok(Visit(self))
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if let Err(errno) = sys::enter(self.0.home.as_fd(), libc::CLONE_NEWNS) {
            eprintln!("cannot go back to the own mount namespace: {errno}");
            std::process::exit(1); // nothing that follows would be true
        }
    }
}

/// Adds those that are there.
pub fn find(directory: &Path, runtimes: &mut Vec<Runtime>) -> Outcome<()> {
    let mut add = |mut runtime: Runtime| -> Outcome<()> {
        match runtime.version() {
            Ok(version) => {
                runtime.name = runtime
                    .name
                    .replace("VERSION", version.rsplit(' ').next().unwrap_or("?"));
                runtime.hidden = Hidden::make()?;
                runtimes.push(runtime);
            }
            Err(error) => println!("missing: {error}"),
        }
        Ok(())
    };
    match std::env::var_os("KEELSON_BENCH_CRUN").map(PathBuf::from) {
        Some(path) if path.join("crun").exists() => {
            let _ = std::fs::remove_file(LINK);
            std::os::unix::fs::symlink(&path, LINK).map_err(why("linking the unpacked crun"))?;
            for (name, options) in [
                ("crun VERSION", &[][..]),
                ("crun VERSION without cgroups", &["--cgroup-manager=disabled"]),
            ] {
                let mut crun = Runtime::new(name, path.join("crun"), options, &directory.join("crun.state"));
                crun.environment.push(("LD_LIBRARY_PATH".to_owned(), LINK.into()));
                add(crun)?;
            }
        }
        _ => println!("missing: the newest crun (KEELSON_BENCH_CRUN; see runtime/benches/oci/fetch-crun)"),
    }
    for name in ["crun", "runc"] {
        let state = directory.join(format!("installed-{name}.state"));
        add(Runtime::new(
            &format!("installed {name} VERSION"),
            name,
            &[],
            &state,
        ))?;
    }
    Ok(())
}

/// Takes back what `find` left on the host.
pub fn let_go() {
    let _ = std::fs::remove_file(LINK); // absent where there was no unpacked crun
}
