//! Who calls: the machine's root, or a user, maybe as root of a user namespace.

use std::fs;
use std::path::PathBuf;

const NAME: &str = "keelson-oci";

/// Whether `/proc/self/uid_map` is that of the machine's own user namespace.
fn is_initial(uid_map: &str) -> bool {
    let mut fields = uid_map.split_whitespace();
    [Some("0"), Some("0"), Some("4294967295")]
        .into_iter()
        .all(|want| fields.next() == want)
}

fn in_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !is_initial(&map))
}

/// Whether the caller cannot be expected to have cgroups of its own.
pub(super) fn rootless() -> bool {
    !nix::unistd::geteuid().is_root() || in_user_namespace()
}

/// runc's rule: below XDG_RUNTIME_DIR for a user, also for one who is root of a user namespace (podman's,
/// whose conmon passes no USER on), else /run.
pub(super) fn default_root() -> PathBuf {
    let user = std::env::var("USER");
    let is_user = !nix::unistd::geteuid().is_root() || (in_user_namespace() && user.as_deref() != Ok("root"));
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty() && is_user);
    runtime_dir
        .map_or_else(|| PathBuf::from("/run"), PathBuf::from)
        .join(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps() {
        assert!(is_initial("         0          0 4294967295\n"));
        assert!(!is_initial(
            "         0       1000          1\n         1     100000      65536\n"
        ));
        assert!(!is_initial(""));
    }
}
