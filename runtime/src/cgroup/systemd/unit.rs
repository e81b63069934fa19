//! Names of units, and where their cgroups lie.

use std::path::PathBuf;

use super::super::Error;

/// A container's unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Unit name: `PREFIX-NAME.scope`, or a slice.
    pub name: String,
    /// The slice it lies in.
    pub slice: String,
}

fn valid(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    !name.is_empty() && name.len() < 256 && name.bytes().all(plain)
}

/// Whether a unit's name is that of a slice (systemd.slice(5)).
fn is_slice(name: &str) -> bool {
    name.strip_suffix(".slice").is_some()
}

impl Unit {
    /// From `cgroupsPath` as SLICE:PREFIX:NAME (empty slice: system.slice, or user.slice of a user's manager); without
    /// one, a scope named after the container.
    pub fn parse(path: &str, id: &str, rootless: bool) -> Result<Self, Error> {
        let invalid = |why: &str| Error::Invalid(format!("invalid systemd cgroupsPath {path:?}: {why}"));
        let (slice, prefix, last) = if path.is_empty() {
            ("", "keelson", id)
        } else {
            let parts: Vec<&str> = path.split(':').collect();
            match parts.as_slice() {
                [slice, prefix, name] => (*slice, *prefix, *name),
                _ => return Err(invalid("expected slice:prefix:name")),
            }
        };
        let slice = match slice {
            "" if rootless => "user.slice",
            "" => "system.slice",
            slice => slice,
        };
        let name = match (is_slice(last), prefix) {
            (true, _) => last.to_owned(),
            (false, "") => format!("{last}.scope"),
            (false, prefix) => format!("{prefix}-{last}.scope"),
        };
        let unit = Self {
            name,
            slice: slice.to_owned(),
        };
        if last.is_empty() || !valid(&unit.name) || unit.expand().is_none() {
            return Err(invalid("not a unit of a slice"));
        }
        Ok(unit)
    }

    /// Whether the unit is a slice itself.
    pub fn is_slice(&self) -> bool {
        is_slice(&self.name)
    }

    /// Directory of the slice: `a-b.slice` lies in `a.slice`; `-.slice` is the root.
    fn expand(&self) -> Option<PathBuf> {
        let stem = self.slice.strip_suffix(".slice")?;
        if stem == "-" {
            return Some(PathBuf::new());
        }
        if !valid(stem) || stem.split('-').any(str::is_empty) {
            return None;
        }
        let mut path = PathBuf::new();
        for (index, _) in stem.match_indices('-').chain([(stem.len(), "")]) {
            path.push(format!("{}.slice", &stem[..index]));
        }
        Some(path)
    }

    /// The cgroup below that of its service manager.
    pub fn path(&self) -> PathBuf {
        self.expand().unwrap_or_default().join(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let unit = |path: &str| Unit::parse(path, "id", false).map(|u| u.path().display().to_string());
        assert_eq!(unit("").unwrap(), "system.slice/keelson-id.scope");
        assert_eq!(unit(":p:n").unwrap(), "system.slice/p-n.scope");
        assert_eq!(
            unit("machine.slice:libpod:abc").unwrap(),
            "machine.slice/libpod-abc.scope"
        );
        assert_eq!(
            unit("a-b-c.slice:x:y").unwrap(),
            "a.slice/a-b.slice/a-b-c.slice/x-y.scope"
        );
        assert_eq!(unit("-.slice:x:y").unwrap(), "x-y.scope");
        assert_eq!(unit("a.slice::a-b.slice").unwrap(), "a.slice/a-b.slice");
        assert_eq!(Unit::parse("", "id", true).unwrap().slice, "user.slice");
        for bad in [
            "x",
            "a:b",
            "a.slice:b:c:d",
            "a:b:c",
            "a--b.slice:x:y",
            "/a.slice:x:y",
            "a.slice:x:../y",
            "a.slice::",
        ] {
            assert!(unit(bad).is_err(), "{bad}");
        }
    }
}
