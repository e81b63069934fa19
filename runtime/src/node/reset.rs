//! Removing every trace of a runtime.

use super::runtime::Inner;
use super::sandboxes::c_path;
use super::state::{names, remove};
use super::{Error, containers, sandboxes};
use crate::cgroup;
use crate::sys;

/// Goes on after an error, and reports all of them.
pub(super) fn reset(inner: &Inner) -> Result<(), Vec<Error>> {
    let mut errors = Vec::new();
    let mut keep = |result: Result<(), Error>| errors.extend(result.err());
    let layout = &inner.layout;
    let known = |list: Result<Vec<String>, Error>| list.unwrap_or_default();
    // Sandboxes on record, and pods without one (their record was lost).
    let mut pods = known(names(&layout.sandboxes()));
    pods.extend(known(names(&layout.pods())));
    pods.sort();
    pods.dedup();
    for id in &pods {
        keep(sandboxes::remove(inner, id));
    }
    for id in known(names(&layout.containers())) {
        keep(containers::remove(inner, &id));
    }
    if let Some(cgroups) = &inner.cgroups {
        keep(cgroup::remove(&cgroups.top()).map_err(Error::from));
    }
    match c_path(&layout.pods()) {
        Ok(path) => match sys::unmount(&path) {
            Ok(()) | Err(sys::Errno(libc::EINVAL | libc::ENOENT)) => {}
            Err(errno) => keep(Err(Error::io(format!("unmounting {}", layout.pods().display()))(
                errno,
            ))),
        },
        Err(error) => keep(Err(error)),
    }
    let ours = [
        layout.pods(),
        layout.running(),
        layout.exits(),
        layout.locks(),
        layout.sandboxes(),
        layout.containers(),
    ];
    for path in ours {
        keep(remove(&path));
    }
    // The directories themselves only if nothing of others is in them.
    for path in [&layout.root, &layout.run] {
        let _ = std::fs::remove_dir(path);
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}
