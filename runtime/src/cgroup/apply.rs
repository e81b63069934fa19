//! Writing settings to a cgroup.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use oci_spec::runtime::LinuxResources;

use super::{Error, Hierarchy, Setting, number};

/// Writes to a file that the kernel must have made.
fn write(path: &Path, value: &str) -> std::io::Result<()> {
    File::options()
        .write(true)
        .open(path)?
        .write_all(value.as_bytes())
}

/// Writes settings. One whose controller is not there is an error, but on a host whose controllers are in cgroup v1
/// hierarchies, where it comes back as a warning.
pub fn apply(hierarchy: &Hierarchy, cgroup: &Path, settings: &[Setting]) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    let mut again = Vec::new();
    for setting in settings {
        match one(hierarchy, cgroup, setting, &mut warnings) {
            // The kernel wants cpu.max.burst <= the quota at any moment: this one comes after the quota, then.
            Err(Error::Io { source, .. })
                if source.raw_os_error() == Some(libc::EINVAL) && setting.file == "cpu.max.burst" =>
            {
                again.push(setting);
            }
            other => other?,
        }
    }
    for setting in again {
        one(hierarchy, cgroup, setting, &mut warnings)?;
    }
    Ok(warnings)
}

fn one(
    hierarchy: &Hierarchy,
    cgroup: &Path,
    setting: &Setting,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let preferred = setting
        .preferred
        .as_ref()
        .filter(|(file, _)| cgroup.join(file).exists());
    let (file, value) = preferred.map_or((&setting.file, &setting.value), |(file, value)| (file, value));
    let path = cgroup.join(file);
    let error = match write(&path, value) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let absent = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied);
    if error.kind() == ErrorKind::NotFound && setting.optional {
        return Ok(());
    }
    let controller = setting.controller();
    if absent && controller != "cgroup" && !hierarchy.has(cgroup, controller) {
        let words = format!("{file} can't be set to {value:?}: controller {controller:?} not available");
        if hierarchy.hybrid {
            warnings.push(words);
            return Ok(());
        }
        return Err(Error::Invalid(words));
    }
    Err(Error::io(format!(
        "failed to write {value:?} to {}",
        path.display()
    ))(error))
}

/// Refuses a memory limit below what is used already, if `checkBeforeUpdate` asks for that.
pub fn check_memory(cgroup: &Path, resources: &LinuxResources) -> Result<(), Error> {
    let Some(memory) = resources
        .memory()
        .as_ref()
        .filter(|m| m.check_before_update() == Some(true))
    else {
        return Ok(());
    };
    let Some(usage) = number(cgroup, "memory.current") else {
        return Ok(());
    };
    for (what, limit) in [("memory+swap", memory.swap()), ("memory", memory.limit())] {
        if let Some(limit) = limit.filter(|limit| *limit > 0 && *limit as u64 <= usage) {
            return Err(Error::Invalid(format!(
                "rejecting {what} limit {limit} <= usage {usage}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that looks like a cgroup with two controllers.
    fn fake() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("cgroup.controllers", "cpu pids\n"),
            ("pids.max", ""),
            ("memory.current", "500\n"),
        ] {
            std::fs::write(dir.path().join(file), text).unwrap();
        }
        dir
    }

    #[test]
    fn absent_controllers() {
        let dir = fake();
        let mut hierarchy = Hierarchy {
            mount: dir.path().to_owned(),
            hybrid: false,
        };
        let pids = Setting::new("pids.max", 5);
        let memory = Setting::new("memory.max", 5);
        let tuned = Setting::new("cpu.nonsense", 5);
        assert!(apply(&hierarchy, dir.path(), &[pids]).unwrap().is_empty());
        assert_eq!(std::fs::read_to_string(dir.path().join("pids.max")).unwrap(), "5");
        let refused = apply(&hierarchy, dir.path(), std::slice::from_ref(&memory)).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("controller \"memory\" not available")
        );
        hierarchy.hybrid = true;
        assert_eq!(apply(&hierarchy, dir.path(), &[memory]).unwrap().len(), 1);
        assert!(
            apply(&hierarchy, dir.path(), std::slice::from_ref(&tuned)).is_err(),
            "cpu is there"
        );
        let optional = Setting {
            optional: true,
            ..tuned
        };
        assert!(apply(&hierarchy, dir.path(), &[optional]).is_ok());
        let first = Setting {
            preferred: Some(("pids.max".to_owned(), "7".to_owned())),
            ..Setting::new("io.weight", 1)
        };
        assert!(apply(&hierarchy, dir.path(), &[first]).is_ok());
        assert_eq!(std::fs::read_to_string(dir.path().join("pids.max")).unwrap(), "7");
    }

    #[test]
    fn usage_is_checked() {
        let dir = fake();
        let check = |json: serde_json::Value| {
            let resources = serde_json::from_value(serde_json::json!({ "memory": json })).unwrap();
            check_memory(dir.path(), &resources)
        };
        let on = true;
        assert!(check(serde_json::json!({"limit": 500, "checkBeforeUpdate": on})).is_err());
        assert!(check(serde_json::json!({"limit": 501, "swap": 500, "checkBeforeUpdate": on})).is_err());
        assert!(check(serde_json::json!({"limit": 501, "swap": -1, "checkBeforeUpdate": on})).is_ok());
        assert!(check(serde_json::json!({"limit": 1})).is_ok());
    }
}
