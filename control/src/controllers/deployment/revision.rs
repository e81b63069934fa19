//! The annotations that carry a Deployment's history, which `kubectl rollout history` and `undo` read.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/deployment/util`.

use std::collections::BTreeMap;

/// Revision of a template.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// Revisions that a ReplicaSet had before, when a rollout went back to it.
pub const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// Wanted replicas of the Deployment when the ReplicaSet was last scaled.
pub const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// The same plus the surge.
pub const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// Annotations that are not copied from a Deployment to its ReplicaSets.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

/// Longest revision history kept, in characters.
const HISTORY_LIMIT: usize = 2000;

/// The revision that annotations carry; 0 for none or nonsense.
pub fn revision(annotations: &BTreeMap<String, String>) -> i64 {
    number(annotations, REVISION).unwrap_or(0)
}

/// A number among annotations.
pub fn number(annotations: &BTreeMap<String, String>, key: &str) -> Option<i64> {
    annotations.get(key)?.parse().ok()
}

/// Annotations of a ReplicaSet that becomes the newest: the Deployment's (the change cause among them) and the
/// revision, what it was before going to the history.
pub fn for_newest(
    deployment: &BTreeMap<String, String>,
    set: &BTreeMap<String, String>,
    newest: i64,
) -> BTreeMap<String, String> {
    let mut annotations = set.clone();
    for (key, value) in deployment {
        if !NOT_COPIED.contains(&key.as_str()) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    let before = set.get(REVISION);
    if revision(set) < newest {
        annotations.insert(REVISION.to_owned(), newest.to_string());
        if let Some(before) = before.filter(|text| !text.is_empty()) {
            let history = extend_history(set.get(HISTORY).map_or("", String::as_str), before);
            annotations.insert(HISTORY.to_owned(), history);
        }
    }
    annotations
}

fn extend_history(history: &str, revision: &str) -> String {
    let mut entries: Vec<&str> = history.split(',').filter(|entry| !entry.is_empty()).collect();
    entries.push(revision);
    let mut length: usize = entries.iter().map(|entry| entry.len() + 1).sum();
    let mut first = 0;
    while length > HISTORY_LIMIT && first + 1 < entries.len() {
        length -= entries[first].len() + 1;
        first += 1;
    }
    entries[first..].join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn going_back_keeps_the_history() {
        let deployment = map(&[("kubernetes.io/change-cause", "undo"), (REVISION, "4")]);
        let set = map(&[(REVISION, "2"), (HISTORY, "1")]);
        let annotations = for_newest(&deployment, &set, 5);
        assert_eq!(
            annotations,
            map(&[
                (REVISION, "5"),
                (HISTORY, "1,2"),
                ("kubernetes.io/change-cause", "undo")
            ])
        );
        assert_eq!(for_newest(&map(&[]), &annotations, 5), annotations);
    }

    #[test]
    fn history_is_bounded() {
        let long = (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let extended = extend_history(&long, "1000");
        assert!(extended.len() <= HISTORY_LIMIT && extended.ends_with(",999,1000"));
    }
}
