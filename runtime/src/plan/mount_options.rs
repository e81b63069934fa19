//! Mount options as OCI configurations and mount(8) spell them (`config.md`, Linux mount options).

use super::PlanError;
use crate::sys::Attributes;

/// What a list of options means.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct MountOptions {
    pub set: u64,
    pub clear: u64,
    /// As `set` and `clear`, for the mounts below as well (`rro`).
    pub set_all: u64,
    pub clear_all: u64,
    pub propagation: Option<u64>,
    /// `bind` or `rbind`.
    pub bind: bool,
    pub bind_recursive: bool,
    pub remount: bool,
    /// `idmap` (false) or `ridmap` (true).
    pub id_map: Option<bool>,
    pub copy_up: bool,
    /// For the filesystem itself.
    pub data: Vec<(String, Option<String>)>,
}

/// Attribute names, bits to set and bits to clear. Each also exists with an `r` before it: for all mounts below.
const ATTRIBUTES: [(&str, u64, u64); 18] = [
    ("ro", Attributes::READ_ONLY, 0),
    ("rw", 0, Attributes::READ_ONLY),
    ("nosuid", Attributes::NO_SUID, 0),
    ("suid", 0, Attributes::NO_SUID),
    ("nodev", Attributes::NO_DEV, 0),
    ("dev", 0, Attributes::NO_DEV),
    ("noexec", Attributes::NO_EXEC, 0),
    ("exec", 0, Attributes::NO_EXEC),
    ("nodiratime", Attributes::NO_DIR_ATIME, 0),
    ("diratime", 0, Attributes::NO_DIR_ATIME),
    ("nosymfollow", Attributes::NO_SYMLINK_FOLLOW, 0),
    ("symfollow", 0, Attributes::NO_SYMLINK_FOLLOW),
    // The access-time modes are one field, of which relatime is the zero.
    ("noatime", Attributes::NO_ATIME, Attributes::ATIME_MASK),
    ("atime", 0, Attributes::ATIME_MASK),
    ("strictatime", Attributes::STRICT_ATIME, Attributes::ATIME_MASK),
    ("nostrictatime", 0, Attributes::ATIME_MASK),
    ("relatime", 0, Attributes::ATIME_MASK),
    ("norelatime", 0, Attributes::ATIME_MASK),
];

/// Propagation names.
const PROPAGATION: [(&str, u64); 8] = [
    ("private", libc::MS_PRIVATE),
    ("rprivate", libc::MS_PRIVATE | libc::MS_REC),
    ("slave", libc::MS_SLAVE),
    ("rslave", libc::MS_SLAVE | libc::MS_REC),
    ("shared", libc::MS_SHARED),
    ("rshared", libc::MS_SHARED | libc::MS_REC),
    ("unbindable", libc::MS_UNBINDABLE),
    ("runbindable", libc::MS_UNBINDABLE | libc::MS_REC),
];

/// Options that are neither attribute nor propagation, and handled here.
const OTHERS: [&str; 15] = [
    "async",
    "bind",
    "defaults",
    "dirsync",
    "idmap",
    "lazytime",
    "loud",
    "mand",
    "nolazytime",
    "nomand",
    "rbind",
    "remount",
    "ridmap",
    "sync",
    "tmpcopyup",
];

/// Every option with a meaning of its own, sorted (OCI `features.md`, mountOptions).
pub fn mount_option_names() -> Vec<String> {
    let mut names: Vec<String> = OTHERS.iter().map(|name| (*name).to_owned()).collect();
    for (name, ..) in ATTRIBUTES {
        names.extend([name.to_owned(), format!("r{name}")]);
    }
    names.extend(PROPAGATION.iter().map(|(name, _)| (*name).to_owned()));
    names.push("silent".to_owned());
    names.sort();
    names
}

/// A propagation by name, with `MS_REC` for the recursive ones.
pub(super) fn propagation(name: &str) -> Option<u64> {
    PROPAGATION
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, flags)| *flags)
}

/// Reads options; later ones win. What is not known here goes to the filesystem, which refuses what it does not know.
pub(super) fn parse(options: &[String]) -> Result<MountOptions, PlanError> {
    let mut all = MountOptions::default();
    for option in options {
        let bare = option.strip_prefix('r').unwrap_or("");
        if let Some((_, set, clear)) = ATTRIBUTES.iter().find(|(name, ..)| name == option) {
            change(&mut all.set, &mut all.clear, *set, *clear);
        } else if let Some((_, set, clear)) = ATTRIBUTES.iter().find(|(name, ..)| *name == bare) {
            change(&mut all.set_all, &mut all.clear_all, *set, *clear);
        } else if let Some(flags) = propagation(option) {
            all.propagation = Some(flags);
        } else {
            all.other(option)?;
        }
    }
    Ok(all)
}

/// What is cleared first is then set (mount_setattr(2) has the same order).
fn change(all_set: &mut u64, all_clear: &mut u64, set: u64, clear: u64) {
    *all_set = *all_set & !clear | set;
    *all_clear = *all_clear & !set | clear;
}

impl MountOptions {
    fn other(&mut self, option: &str) -> Result<(), PlanError> {
        match option {
            "bind" => self.bind = true,
            "rbind" => (self.bind, self.bind_recursive) = (true, true),
            "remount" => self.remount = true,
            "idmap" => self.id_map = Some(false),
            "ridmap" => self.id_map = Some(true),
            "tmpcopyup" => self.copy_up = true,
            // Defaults, and how loud the kernel's own log is.
            "defaults" | "async" | "nomand" | "nolazytime" | "silent" | "loud" | "" => {
                let undone = match option {
                    "async" => "sync",
                    "nomand" => "mand",
                    "nolazytime" => "lazytime",
                    _ => "",
                };
                self.data.retain(|(key, _)| key != undone);
            }
            _ => {
                let (key, value) = match option.split_once('=') {
                    Some((key, value)) => (key, Some(value.to_owned())),
                    None => (option, None),
                };
                if key.is_empty() {
                    return Err(PlanError(format!("invalid mount option {option:?}")));
                }
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
        assert!(options.bind && options.bind_recursive && options.set_all == 0);
        assert_eq!(options.propagation, Some(libc::MS_PRIVATE | libc::MS_REC));
        assert_eq!(of("private").propagation, Some(libc::MS_PRIVATE));
        assert_eq!(
            of("runbindable").propagation,
            Some(libc::MS_UNBINDABLE | libc::MS_REC)
        );
        assert!(of("bind,remount").remount);
        assert!(of("tmpcopyup").copy_up);
        assert_eq!(
            (of("idmap").id_map, of("ridmap").id_map),
            (Some(false), Some(true))
        );
        assert!(parse(&["=x".to_owned()]).is_err());
    }

    #[test]
    fn the_last_one_wins() {
        let options = of("ro,rw");
        assert_eq!((options.set, options.clear), (0, Attributes::READ_ONLY));
        let options = of("rw,ro");
        assert_eq!((options.set, options.clear), (Attributes::READ_ONLY, 0));
        let options = of("noatime,strictatime");
        assert_eq!(
            (options.set, options.clear),
            (Attributes::STRICT_ATIME, Attributes::ATIME_MASK)
        );
        let options = of("noatime,relatime");
        assert_eq!((options.set, options.clear), (0, Attributes::ATIME_MASK));
        assert!(of("sync,async").data.is_empty());
    }

    #[test]
    fn recursive_ones_are_kept_apart() {
        let options = of("ro,rrw,rnosuid,rnoatime,rnosymfollow");
        assert_eq!(options.set, Attributes::READ_ONLY);
        assert_eq!(
            options.set_all,
            Attributes::NO_SUID | Attributes::NO_ATIME | Attributes::NO_SYMLINK_FOLLOW
        );
        assert_eq!(options.clear_all, Attributes::READ_ONLY | Attributes::ATIME_MASK);
        for name in [
            "ro",
            "nosuid",
            "nodev",
            "noexec",
            "relatime",
            "noatime",
            "nostrictatime",
            "nosymfollow",
        ] {
            let options = of(&format!("r{name}"));
            assert!(
                options.data.is_empty() && options.set == 0 && options.clear == 0,
                "{name}"
            );
            assert!(options.set_all | options.clear_all != 0, "{name}");
        }
    }

    #[test]
    fn every_name_is_understood() {
        for name in mount_option_names() {
            let options = of(&name);
            let filesystem = ["sync", "dirsync", "lazytime", "mand"].contains(&name.as_str());
            assert_eq!(options.data.is_empty(), !filesystem, "{name}");
        }
    }
}
