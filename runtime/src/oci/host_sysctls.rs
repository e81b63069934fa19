//! Kernel parameters are set in the container's namespaces, of which one that is joined by path may be the host's.

use super::Error;
use crate::launch::Plan;
use crate::plan::is_ipc_sysctl;
use crate::sys;

/// Refuses parameters of namespaces that we are in ourselves, as runc does.
pub(super) fn check(plan: &Plan) -> Result<(), Error> {
    for (kind, path) in &plan.namespaces.join {
        let (name, concerns): (_, fn(&str) -> bool) = match *kind as i32 {
            libc::CLONE_NEWNET => ("net", |file| file.starts_with("net/")),
            libc::CLONE_NEWIPC => ("ipc", is_ipc_sysctl),
            libc::CLONE_NEWUTS => ("uts", |file| {
                matches!(file, "kernel/hostname" | "kernel/domainname")
            }),
            _ => continue,
        };
        let Some((file, _)) = plan.sysctls.iter().find(|(file, _)| concerns(file)) else {
            continue;
        };
        if identity(path)? == identity(&format!("/proc/self/ns/{name}"))? {
            return Err(Error::Invalid(format!(
                "sysctl {:?} is not allowed in the host's {name} namespace",
                file.replace('/', ".")
            )));
        }
    }
    Ok(())
}

fn identity(path: &str) -> Result<(u64, u64), Error> {
    let what = || format!("looking at namespace {path}");
    let name = std::ffi::CString::new(path).map_err(|_| Error::Invalid(what()))?;
    sys::identity_of(&name).map_err(Error::io(what()))
}
