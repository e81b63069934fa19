//! What a delete means for an object. Pure.

use keelson_api::time;
use serde_json::{Value, json};

use super::options::{Options, Propagation, default_propagation};
use crate::kinds::Kind;
use crate::server::definitions::CLEANUP;
use crate::server::definitions::conditions::{self, Condition};
use crate::server::write::metadata;

/// Finalizer that lets the garbage collector delete the dependents first.
const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer that lets the garbage collector release the dependents.
const ORPHAN: &str = "orphan";

/// What a delete does to an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It goes at once.
    Remove,
    /// It is marked, and goes when its grace is over and its finalizers are gone.
    Mark(Box<Value>),
    /// It is marked already; nothing changes.
    Keep,
}

/// Decides (`rest.BeforeDelete` and the generic registry's finalizer rules). `grace` is the kind's answer for this object
/// and these options, `now` Unix seconds.
pub fn plan(kind: &Kind, old: &Value, options: &Options, grace: Option<i64>, now: i64) -> Outcome {
    let meta = &old["metadata"];
    let pending = !meta["deletionTimestamp"].is_null();
    let definition = kind.group == "apiextensions.k8s.io" && kind.kind == "CustomResourceDefinition";
    if definition && !pending {
        return Outcome::Mark(Box::new(terminating(old, now)));
    }
    let left = meta["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    let asked = grace.map_or(Some(0), |grace| {
        let grace = if pending { options.grace } else { Some(grace) };
        grace.map(|grace| if grace < 0 { 1 } else { grace })
    });
    // A second delete can shorten the grace, never lengthen it.
    let grace = match asked {
        Some(asked) if !pending || asked < left => asked,
        _ if pending => left,
        _ => 0,
    };
    let before = metadata::finalizers(old);
    let policy = default_propagation(kind).map_or(Propagation::Background, |default| {
        options.propagation.unwrap_or_else(|| {
            if before.contains(&ORPHAN) {
                Propagation::Orphan
            } else if before.contains(&FOREGROUND) {
                Propagation::Foreground
            } else {
                default
            }
        })
    });
    let mut after: Vec<&str> = before
        .iter()
        .copied()
        .filter(|name| ![ORPHAN, FOREGROUND].contains(name))
        .collect();
    match policy {
        Propagation::Background => {}
        Propagation::Foreground => after.push(FOREGROUND),
        Propagation::Orphan => after.push(ORPHAN),
    }
    let namespace = kind.group.is_empty() && kind.kind == "Namespace";
    let held = !after.is_empty() || (namespace && has_namespace_finalizers(old));
    if grace == 0 && !held {
        return Outcome::Remove;
    }
    if pending && grace == left && after == before {
        return Outcome::Keep;
    }
    let mut new = old.clone();
    let began =
        time::parse(meta["deletionTimestamp"].as_str().unwrap_or_default()).map_or(now, |at| at - left);
    let generation = meta["generation"].as_i64().unwrap_or(0);
    let fields = metadata::of(&mut new);
    fields.insert(
        "deletionTimestamp".to_owned(),
        time::format(began.saturating_add(grace)).into(),
    );
    if !namespace {
        fields.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    }
    if after.is_empty() {
        fields.remove("finalizers");
    } else {
        fields.insert("finalizers".to_owned(), json!(after));
    }
    if generation > 0 && !pending {
        fields.insert("generation".to_owned(), (generation + 1).into());
    }
    if namespace {
        new["status"]["phase"] = "Terminating".into();
    }
    Outcome::Mark(Box::new(new))
}

/// A definition after its first delete, whatever that asked for: its objects go first (customresourcedefinition's registry).
fn terminating(old: &Value, now: i64) -> Value {
    let mut new = old.clone();
    let mut finalizers = metadata::finalizers(old);
    if !finalizers.contains(&CLEANUP) {
        finalizers.push(CLEANUP);
    }
    let fields = metadata::of(&mut new);
    fields.insert("deletionTimestamp".to_owned(), time::format(now).into());
    fields.insert("finalizers".to_owned(), json!(finalizers));
    let condition = Condition {
        kind: "Terminating",
        status: "True",
        reason: "InstanceDeletionPending",
        message: "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    };
    if let Some(conditions) = conditions::with(&new["status"]["conditions"], &condition) {
        new["status"]["conditions"] = conditions;
    }
    new
}

fn has_namespace_finalizers(namespace: &Value) -> bool {
    namespace["spec"]["finalizers"]
        .as_array()
        .is_some_and(|list| !list.is_empty())
}

/// Whether an update takes the last thing away that kept a deleted object (`ShouldDeleteDuringUpdate`).
pub fn is_finished(old: &Value, new: &Value) -> bool {
    let meta = &old["metadata"];
    !meta["deletionTimestamp"].is_null()
        && meta["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        && metadata::finalizers(new).is_empty()
        && !(new["kind"] == "Namespace" && has_namespace_finalizers(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;

    fn plan(kind: &str, old: &Value, options: &Options, default_grace: Option<i64>, now: i64) -> Outcome {
        let (group, plural) = match kind {
            "ConfigMap" => ("", "configmaps"),
            "CustomResourceDefinition" => ("apiextensions.k8s.io", "customresourcedefinitions"),
            "Event" => ("", "events"),
            "Job" => ("batch", "jobs"),
            "Namespace" => ("", "namespaces"),
            "Pod" => ("", "pods"),
            "ReplicaSet" => ("apps", "replicasets"),
            "ReplicationController" => ("", "replicationcontrollers"),
            other => panic!("{other}"),
        };
        let kind = kinds::find(group, "v1", plural).unwrap();
        let grace = default_grace.map(|default| options.grace.unwrap_or(default));
        super::plan(kind, old, options, grace, now)
    }

    fn pod(meta: &Value) -> Value {
        json!({"kind": "Pod", "metadata": meta})
    }

    fn marked(outcome: Outcome) -> Value {
        match outcome {
            Outcome::Mark(value) => value["metadata"].clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_running_pod_gets_its_grace_and_a_second_delete_can_only_shorten_it() {
        let first = marked(plan(
            "Pod",
            &pod(&json!({"generation": 1})),
            &Options::default(),
            Some(30),
            1000,
        ));
        assert_eq!(
            first,
            json!({"deletionTimestamp": time::format(1030), "deletionGracePeriodSeconds": 30, "generation": 2})
        );
        let again = |grace| {
            let options = Options {
                grace,
                ..Options::default()
            };
            plan("Pod", &pod(&first), &options, Some(30), 1010)
        };
        assert_eq!(again(None), Outcome::Keep);
        assert_eq!(again(Some(60)), Outcome::Keep);
        assert_eq!(marked(again(Some(5)))["deletionTimestamp"], time::format(1005));
        assert_eq!(again(Some(0)), Outcome::Remove);
    }

    #[test]
    fn what_nobody_holds_goes_at_once() {
        assert_eq!(
            plan("Pod", &pod(&json!({})), &Options::default(), None, 0),
            Outcome::Remove
        );
        let options = Options {
            grace: Some(60),
            ..Options::default()
        };
        assert_eq!(
            plan("ConfigMap", &pod(&json!({})), &options, None, 0),
            Outcome::Remove
        );
    }

    #[test]
    fn propagation_becomes_finalizers() {
        for (propagation, finalizer) in [
            (Propagation::Foreground, FOREGROUND),
            (Propagation::Orphan, ORPHAN),
        ] {
            let options = Options {
                propagation: Some(propagation),
                ..Options::default()
            };
            let meta = marked(plan("ReplicaSet", &pod(&json!({})), &options, None, 5));
            assert_eq!(meta["finalizers"], json!([finalizer]));
            assert_eq!(meta["deletionTimestamp"], time::format(5));
            // The same delete again changes nothing; a background delete takes the finalizer away.
            assert_eq!(plan("ReplicaSet", &pod(&meta), &options, None, 9), Outcome::Keep);
            let background = Options {
                propagation: Some(Propagation::Background),
                ..Options::default()
            };
            assert_eq!(
                plan("ReplicaSet", &pod(&meta), &background, None, 9),
                Outcome::Remove
            );
        }
    }

    #[test]
    fn pods_of_jobs_and_controllers_stay_unless_somebody_says_otherwise() {
        let default = Options::default();
        for kind in ["Job", "ReplicationController"] {
            let meta = marked(plan(kind, &pod(&json!({})), &default, None, 5));
            assert_eq!(meta["finalizers"], json!([ORPHAN]), "{kind}");
            let background = Options {
                propagation: Some(Propagation::Background),
                ..Options::default()
            };
            assert_eq!(
                plan(kind, &pod(&json!({})), &background, None, 5),
                Outcome::Remove
            );
            // Who waits for the dependents already goes on waiting.
            let foreground = pod(&json!({"finalizers": [FOREGROUND]}));
            assert_eq!(
                marked(plan(kind, &foreground, &default, None, 5))["finalizers"],
                json!([FOREGROUND])
            );
        }
        let orphan = Options {
            propagation: Some(Propagation::Orphan),
            ..Options::default()
        };
        assert_eq!(
            plan("Event", &pod(&json!({})), &orphan, None, 5),
            Outcome::Remove,
            "an Event has no dependents"
        );
    }

    #[test]
    fn the_first_delete_of_a_definition_marks_it_and_no_more() {
        let old = json!({"kind": "CustomResourceDefinition", "metadata": {"generation": 1}});
        let options = Options {
            propagation: Some(Propagation::Foreground),
            ..Options::default()
        };
        let Outcome::Mark(new) = plan("CustomResourceDefinition", &old, &options, None, 5) else {
            panic!()
        };
        assert_eq!(
            new["metadata"],
            json!({"generation": 1, "deletionTimestamp": time::format(5), "finalizers": [CLEANUP]})
        );
        assert_eq!(new["status"]["conditions"][0]["type"], "Terminating");
        // Later ones are like any other's.
        let again = plan("CustomResourceDefinition", &new, &Options::default(), None, 9);
        assert_eq!(again, Outcome::Keep);
    }

    #[test]
    fn a_namespace_stays_until_it_is_finalized() {
        let namespace = json!({"kind": "Namespace", "metadata": {}, "spec": {"finalizers": ["kubernetes"]}});
        let Outcome::Mark(terminating) = plan("Namespace", &namespace, &Options::default(), None, 5) else {
            panic!()
        };
        assert_eq!(terminating["status"]["phase"], "Terminating");
        assert!(!is_finished(&terminating, &terminating));
        let mut finalized = Value::clone(&terminating);
        finalized["spec"]["finalizers"] = json!([]);
        assert!(is_finished(&terminating, &finalized));
    }
}
