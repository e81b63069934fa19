//! What there is to do about APIServices. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::kinds;

/// Says that an APIService is looked after, and when.
const LABEL: &str = "kube-aggregator.kubernetes.io/automanaged";

/// When one is looked after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Managed {
    /// When a server starts: who deletes or changes it later has his way until then.
    OnStart,
    /// Always.
    Always,
}

impl Managed {
    fn label(self) -> &'static str {
        match self {
            Self::OnStart => "onstart",
            Self::Always => "true",
        }
    }
}

/// One that should be there.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    managed: Managed,
    group: String,
    version: String,
    group_priority: i64,
    version_priority: i64,
}

impl Wanted {
    pub(super) fn spec(&self) -> Value {
        let mut spec = json!({
            "version": self.version,
            "groupPriorityMinimum": self.group_priority, "versionPriority": self.version_priority,
        });
        // Go leaves the name of the core group out.
        if !self.group.is_empty() {
            spec["group"] = self.group.clone().into();
        }
        spec
    }

    pub(super) fn object(&self, name: &str) -> Value {
        json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": name, "labels": {LABEL: self.managed.label()}},
            "spec": self.spec(),
        })
    }
}

/// What is stored.
#[derive(Debug, Clone)]
pub(super) struct Found {
    managed: Option<Managed>,
    uid: String,
    revision: String,
    spec: Value,
}

impl Found {
    pub(super) fn of(service: &Value) -> Self {
        let metadata = &service["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            managed: match metadata["labels"][LABEL].as_str() {
                Some("onstart") => Some(Managed::OnStart),
                Some("true") => Some(Managed::Always),
                _ => None,
            },
            uid: text(&metadata["uid"]),
            revision: text(&metadata["resourceVersion"]),
            spec: service["spec"].clone(),
        }
    }
}

/// Something to do with the APIService of a name.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// Make it.
    Create(&'a Wanted),
    /// Give it another spec, if it is still of that resourceVersion.
    Replace(&'a Wanted, &'a str),
    /// Delete the one with this UID.
    Delete(&'a str),
}

/// The steps to what is wanted. `first` is the first look after a start. What nobody has put under our care stays.
pub(super) fn steps<'a>(
    wanted: &'a BTreeMap<String, Wanted>,
    found: &BTreeMap<&'a str, &'a Found>,
    first: bool,
) -> Vec<(&'a str, Step<'a>)> {
    let due = |managed| first || managed == Managed::Always;
    let mut steps = Vec::new();
    for (name, wanted) in wanted.iter().filter(|(_, wanted)| due(wanted.managed)) {
        match found.get(name.as_str()) {
            None => steps.push((name.as_str(), Step::Create(wanted))),
            Some(found) if found.managed.is_some_and(due) && found.spec != wanted.spec() => {
                steps.push((name, Step::Replace(wanted, &found.revision)));
            }
            Some(_) => {}
        }
    }
    for (name, found) in found {
        if found.managed.is_some_and(due) && !wanted.contains_key(*name) {
            steps.push((name, Step::Delete(&found.uid)));
        }
    }
    steps
}

/// That of a version that a definition serves. Clients prefer everything else to it.
pub(super) fn of_definition(group: &str, version: &str) -> Wanted {
    Wanted {
        managed: Managed::Always,
        group: group.to_owned(),
        version: version.to_owned(),
        group_priority: 1000,
        version_priority: 100,
    }
}

/// Places of the built-in groups among all (`apiVersionPriorities` upstream). The group of APIServices themselves has none:
/// upstream's aggregator answers for it before it looks at any.
const GROUPS: [(&str, i64); 19] = [
    ("", 18_000),
    ("apps", 17_800),
    ("events.k8s.io", 17_750),
    ("authentication.k8s.io", 17_700),
    ("authorization.k8s.io", 17_600),
    ("autoscaling", 17_500),
    ("batch", 17_400),
    ("certificates.k8s.io", 17_300),
    ("networking.k8s.io", 17_200),
    ("policy", 17_100),
    ("rbac.authorization.k8s.io", 17_000),
    ("storage.k8s.io", 16_800),
    ("admissionregistration.k8s.io", 16_700),
    ("apiextensions.k8s.io", 16_700),
    ("scheduling.k8s.io", 16_600),
    ("coordination.k8s.io", 16_500),
    ("node.k8s.io", 16_300),
    ("discovery.k8s.io", 16_200),
    ("flowcontrol.apiserver.k8s.io", 16_100),
];

/// Places of versions within their group that are not 15.
const VERSIONS: [(&str, &str, i64); 3] = [
    ("", "v1", 1),
    ("autoscaling", "v2", 30),
    ("flowcontrol.apiserver.k8s.io", "v1", 21),
];

/// Those of built-in groups, by their names.
pub(super) fn builtin() -> BTreeMap<String, Wanted> {
    let mut all = BTreeMap::new();
    for kind in kinds::builtin() {
        let (group, version) = (&*kind.group, &*kind.version);
        let Some((_, group_priority)) = GROUPS.iter().find(|(known, _)| *known == group) else {
            continue;
        };
        let of = |known: &&(&str, &str, i64)| known.0 == group && known.1 == version;
        let version_priority = VERSIONS.iter().find(of).map_or(15, |(.., priority)| *priority);
        let wanted = Wanted {
            managed: Managed::OnStart,
            group: group.to_owned(),
            version: version.to_owned(),
            group_priority: *group_priority,
            version_priority,
        };
        all.insert(format!("{version}.{group}"), wanted);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `NAME STEP` of each.
    fn told(wanted: &BTreeMap<String, Wanted>, found: &[(&str, &Found)], first: bool) -> Vec<String> {
        let found = found.iter().copied().collect();
        let steps = steps(wanted, &found, first);
        let word = |step: &Step<'_>| match step {
            Step::Create(_) => "create",
            Step::Replace(..) => "replace",
            Step::Delete(_) => "delete",
        };
        steps
            .iter()
            .map(|(name, step)| format!("{name} {}", word(step)))
            .collect()
    }

    fn of(managed: Managed) -> Wanted {
        let one = of_definition("g", "v1");
        Wanted { managed, ..one }
    }

    #[test]
    fn built_in_groups_stand_as_upstreams() {
        let all = builtin();
        assert_eq!(all.len(), 20, "{:?}", all.keys());
        for (name, group, version) in [
            ("v1.", 18_000, 1),
            ("v1.apps", 17_800, 15),
            ("v1.autoscaling", 17_500, 15),
            ("v2.autoscaling", 17_500, 30),
            ("v1.flowcontrol.apiserver.k8s.io", 16_100, 21),
        ] {
            let one = &all[name];
            assert_eq!(
                (one.group_priority, one.version_priority),
                (group, version),
                "{name}"
            );
        }
        assert!(!all.contains_key("v1.apiregistration.k8s.io"));
        for (group, _) in GROUPS {
            assert!(all.values().any(|one| one.group == group), "{group}");
        }
    }

    #[test]
    fn only_the_start_looks_after_built_in_groups() {
        use Managed::{Always, OnStart};
        let stored = |managed| Found::of(&of(managed).object("v1.g"));
        let other = |managed| Found {
            spec: Value::Null,
            ..stored(managed)
        };
        let nobody = Found {
            managed: None,
            ..other(Always)
        };
        // What is wanted, what is there, what is done at the start, and later.
        let cases = [
            (Some(OnStart), None, "create", ""),
            (Some(Always), None, "create", "create"),
            (None, Some(&stored(OnStart)), "delete", ""),
            (None, Some(&stored(Always)), "delete", "delete"),
            (None, Some(&nobody), "", ""),
            (Some(OnStart), Some(&stored(OnStart)), "", ""),
            (Some(OnStart), Some(&other(OnStart)), "replace", ""),
            (Some(OnStart), Some(&other(Always)), "replace", ""),
            (Some(Always), Some(&other(OnStart)), "replace", ""),
            (Some(Always), Some(&other(Always)), "replace", "replace"),
            (Some(Always), Some(&nobody), "", ""),
        ];
        for (index, (wanted, found, at_start, later)) in cases.into_iter().enumerate() {
            let wanted = wanted
                .map(|managed| ("v1.g".to_owned(), of(managed)))
                .into_iter()
                .collect();
            let found: Vec<_> = found.map(|found| ("v1.g", found)).into_iter().collect();
            for (first, done) in [(true, at_start), (false, later)] {
                let done: Vec<String> = (!done.is_empty())
                    .then(|| format!("v1.g {done}"))
                    .into_iter()
                    .collect();
                assert_eq!(told(&wanted, &found, first), done, "case {index}, first: {first}");
            }
        }
    }
}
