//! Capability names and sets (`linux/capability.h`).

use super::PlanError;

/// Names in order of their number, without `CAP_`.
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Every capability.
pub const ALL: u64 = (1 << NAMES.len()) - 1;

/// What Docker and containerd give by default.
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// The bit of a name, in any case and with or without `CAP_`.
pub fn bit(name: &str) -> Option<u64> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES.iter().position(|known| *known == bare).map(|n| 1 << n)
}

/// The set of a container: the default, changed in containerd's order: add `ALL`, drop `ALL`, additions, drops.
pub fn set(add: &[String], drop: &[String], privileged: bool) -> Result<u64, PlanError> {
    if privileged {
        return Ok(ALL);
    }
    let is_all = |name: &String| name.eq_ignore_ascii_case("ALL") || name.eq_ignore_ascii_case("CAP_ALL");
    let bits = |names: &[String]| {
        names
            .iter()
            .filter(|name| !is_all(name))
            .try_fold(0, |set, name| match bit(name) {
                Some(bit) => Ok(set | bit),
                None => Err(PlanError(format!("unknown capability {name:?}"))),
            })
    };
    let mut set = DEFAULT
        .iter()
        .filter_map(|name| bit(name))
        .fold(0, |set, bit| set | bit);
    if add.iter().any(is_all) {
        set = ALL;
    }
    if drop.iter().any(is_all) {
        set = 0;
    }
    Ok((set | bits(add)?) & !bits(drop)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn default_is_dockers() {
        assert_eq!(set(&[], &[], false).unwrap(), 0xa804_25fb);
    }

    #[test]
    fn add_and_drop() {
        assert_eq!(set(&[], &names(&["ALL"]), false).unwrap(), 0);
        assert_eq!(
            set(&names(&["NET_ADMIN"]), &names(&["all"]), false).unwrap(),
            1 << 12
        );
        assert_eq!(
            set(&names(&["ALL"]), &names(&["cap_sys_admin"]), false).unwrap(),
            ALL & !(1 << 21)
        );
        assert!(set(&names(&["SYS_ADMIM"]), &[], false).is_err());
        assert!(set(&[], &names(&[""]), false).is_err());
    }
}
