//! `linux.sysctl`: only parameters of namespaces that the container has; any other would change the host.

use oci_spec::runtime::{Linux, LinuxNamespaceType as Kind, Spec};

use super::namespaces::has;
use super::{PlanError, checked};
use crate::launch::Namespaces;
use crate::plan::sysctl;

pub(super) fn compile(
    spec: &Spec,
    linux: &Linux,
    namespaces: &Namespaces,
) -> Result<Vec<(String, String)>, PlanError> {
    let mut all = Vec::new();
    for (name, value) in linux.sysctl().iter().flatten() {
        let file = sysctl::file(name)?;
        checked(value, 4096, "sysctl value")?;
        let owned = match file.as_str() {
            "kernel/domainname" => has(namespaces, Kind::Uts),
            "kernel/hostname" => {
                has(namespaces, Kind::Uts) && spec.hostname().as_ref().is_none_or(String::is_empty)
            }
            file if file.starts_with("net/") => has(namespaces, Kind::Network),
            file => sysctl::is_ipc_sysctl(file) && has(namespaces, Kind::Ipc),
        };
        if !owned {
            return Err(PlanError(format!(
                "sysctl {name:?} is not of a namespace of this container"
            )));
        }
        all.push((file, value.clone()));
    }
    all.sort(); // the order of a map is not one
    Ok(all)
}
