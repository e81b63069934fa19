//! Names of interfaces: at most 15 bytes, prefixed with the cluster id so that two clusters on a host never meet.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The node's own device of cluster `id`.
pub(crate) fn bridge(id: &str) -> String {
    format!("{id}-br")
}

/// What every pod interface of cluster `id` begins with. Not a prefix of [`bridge`]: the letter after the dash tells.
pub(crate) fn pod_prefix(id: &str) -> String {
    format!("{id}-p")
}

/// The node's end of a pod's pair, for the first `attempt` that is free. Derived from the UID, so that a name is
/// never used for two pods in turn: the kernel tears namespaces down late (trap 10).
pub(crate) fn pod(id: &str, pod_uid: &str, attempt: u32) -> String {
    let mut hasher = DefaultHasher::new();
    (pod_uid, attempt).hash(&mut hasher);
    let prefix = pod_prefix(id);
    let digits = 15_usize.saturating_sub(prefix.len()).min(8);
    let hash = format!("{:016x}", hasher.finish());
    prefix + &hash[..digits]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        let name = pod("kl3f2a", "7b1d", 0);
        assert!(name.len() <= 15 && name.starts_with("kl3f2a-p"), "{name}");
        assert_ne!(name, pod("kl3f2a", "7b1d", 1));
        assert_ne!(name, pod("kl3f2a", "7b1e", 0));
        assert!(!bridge("kl3f2a").starts_with(&pod_prefix("kl3f2a")));
    }
}
