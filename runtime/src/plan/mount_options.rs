//! Mount options as OCI configurations and mount(8) spell them.

use super::PlanError;
use crate::sys::Attributes;

/// What a list of options means.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct MountOptions {
    pub set: u64,
    pub clear: u64,
    pub propagation: u64,
    /// Some attribute was asked for recursively (`rro`).
    pub recursive: bool,
    /// `bind` or `rbind`.
    pub bind: bool,
    pub bind_recursive: bool,
    /// For the filesystem itself.
    pub data: Vec<(String, Option<String>)>,
}

/// Attribute names: bit, and whether the name sets or clears it.
const ATTRIBUTES: [(&str, u64, bool); 14] = [
    ("ro", Attributes::READ_ONLY, true),
    ("rw", Attributes::READ_ONLY, false),
    ("nosuid", Attributes::NO_SUID, true),
    ("suid", Attributes::NO_SUID, false),
    ("nodev", Attributes::NO_DEV, true),
    ("dev", Attributes::NO_DEV, false),
    ("noexec", Attributes::NO_EXEC, true),
    ("exec", Attributes::NO_EXEC, false),
    ("nodiratime", Attributes::NO_DIR_ATIME, true),
    ("diratime", Attributes::NO_DIR_ATIME, false),
    ("nosymfollow", Attributes::NO_SYMLINK_FOLLOW, true),
    ("symfollow", Attributes::NO_SYMLINK_FOLLOW, false),
    ("nostrictatime", Attributes::STRICT_ATIME, false),
    ("atime", Attributes::NO_ATIME, false),
];

/// Propagation names.
const PROPAGATION: [(&str, u64); 8] = [
    ("private", libc::MS_PRIVATE),
    ("rprivate", libc::MS_PRIVATE),
    ("slave", libc::MS_SLAVE),
    ("rslave", libc::MS_SLAVE),
    ("shared", libc::MS_SHARED),
    ("rshared", libc::MS_SHARED),
    ("unbindable", libc::MS_UNBINDABLE),
    ("runbindable", libc::MS_UNBINDABLE),
];

/// Reads options; later ones win. What is no attribute goes to the filesystem, which refuses what it does not know.
pub(super) fn parse(options: &[String]) -> Result<MountOptions, PlanError> {
    let mut all = MountOptions::default();
    for option in options {
        let bare = option.strip_prefix('r').unwrap_or("");
        if let Some((_, bit, on)) = ATTRIBUTES.iter().find(|(name, ..)| name == option) {
            all.attribute(*bit, *on);
        } else if let Some((_, bit, on)) = ATTRIBUTES.iter().find(|(name, ..)| *name == bare) {
            all.attribute(*bit, *on);
            all.recursive = true;
        } else if let Some((_, propagation)) = PROPAGATION.iter().find(|(name, _)| name == option) {
            all.propagation = *propagation;
        } else {
            all.other(option)?;
        }
    }
    Ok(all)
}

impl MountOptions {
    fn attribute(&mut self, bit: u64, on: bool) {
        let access_time = bit & Attributes::ATIME_MASK != 0;
        (self.set, self.clear) = match on {
            true => (self.set | bit, self.clear & !bit),
            // Leaving an access-time mode means the default one, which is no bit at all.
            false if access_time => (self.set & !bit, self.clear | Attributes::ATIME_MASK),
            false => (self.set & !bit, self.clear | bit),
        };
    }

    fn other(&mut self, option: &str) -> Result<(), PlanError> {
        match option {
            "bind" => self.bind = true,
            "rbind" => (self.bind, self.bind_recursive) = (true, true),
            "noatime" | "strictatime" | "relatime" | "norelatime" => {
                self.set &= !Attributes::ATIME_MASK;
                self.clear |= Attributes::ATIME_MASK;
                self.set |= match option {
                    "noatime" => Attributes::NO_ATIME,
                    "strictatime" => Attributes::STRICT_ATIME,
                    _ => 0,
                };
            }
            "defaults" | "async" | "" => {}
            "remount" | "idmap" | "ridmap" | "tmpcopyup" => {
                return Err(PlanError(format!("mount option {option:?} is not supported")));
            }
            _ => {
                let (key, value) = match option.split_once('=') {
                    Some((key, value)) => (key, Some(value.to_owned())),
                    None => (option, None),
                };
                self.data.push((key.to_owned(), value));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &str) -> MountOptions {
        parse(&list.split(',').map(str::to_owned).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn kinds_of_options() {
        let options = of("nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,rw");
        assert_eq!(options.set, Attributes::NO_SUID | Attributes::NO_EXEC);
        assert_eq!(options.data.len(), 3);
        assert_eq!(options.data[1], ("ptmxmode".to_owned(), Some("0666".to_owned())));
        let options = of("rbind,rprivate,ro");
        assert!(
            options.bind
                && options.bind_recursive
                && !options.recursive
                && options.propagation == libc::MS_PRIVATE
        );
        assert!(of("rbind,rro").recursive);
        assert_eq!(of("ro,rw").set, 0);
        assert_eq!(of("noatime,strictatime").set, Attributes::STRICT_ATIME);
        assert!(parse(&["remount".to_owned()]).is_err());
    }
}
