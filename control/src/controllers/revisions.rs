//! The history of DaemonSet and StatefulSet templates, as ControllerRevisions: `kubectl rollout history` and `undo`
//! read them.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/history`.

use std::cmp::Reverse;
use std::sync::Arc;

use keelson_api::schema::Schema;
use serde_json::{Value, json};

use super::api::{Api, Error, Patch, Resource, resources};
use super::deployment::template_hash;
use super::model::{ControllerRevision, Meta, controller_reference};
use crate::kinds::drop_zeros;

/// Label with the hash of the template.
pub const HASH_LABEL: &str = "controller-revision-hash";

/// The patch that restores a template, byte for byte as Go writes it: upstream's controllers, and clients that look for the
/// revision of a template, compare the bytes. Go writes a time that is not set as null.
pub fn data(template: &Value) -> Value {
    let mut template = template.clone();
    template["$patch"] = "replace".into();
    template["metadata"]["creationTimestamp"] = Value::Null;
    for claim in claims(&mut template) {
        claim["metadata"]["creationTimestamp"] = Value::Null;
    }
    json!({"spec": {"template": template}})
}

/// The template in a revision.
pub fn template(revision: &ControllerRevision) -> Value {
    // Anybody may have written it, and data may be any JSON.
    let mut data = revision.data.value();
    let mut template = data
        .pointer_mut("/spec/template")
        .map_or(Value::Null, Value::take);
    if let Some(map) = template.as_object_mut() {
        map.remove("$patch");
    }
    drop_unset_times(&mut template);
    template
}

/// The template in a revision, if pods can be made of it.
pub fn usable_template(revision: &ControllerRevision) -> Option<Value> {
    let mut template = template(revision);
    let kind = Schema::builtin().named("io.k8s.api.core.v1.PodTemplateSpec")?;
    kind.conform(&mut template).ok()?;
    Some(template)
}

fn drop_unset_times(template: &mut Value) {
    let drop_from = |owner: Option<&mut Value>| {
        let metadata = owner.and_then(|owner| owner.get_mut("metadata")?.as_object_mut());
        if let Some(metadata) = metadata
            && metadata.get("creationTimestamp").is_some_and(Value::is_null)
        {
            metadata.remove("creationTimestamp");
        }
    };
    drop_from(Some(template));
    for claim in claims(template) {
        drop_from(Some(claim));
    }
}

/// The templates of claims in a template's volumes.
fn claims(template: &mut Value) -> impl Iterator<Item = &mut Value> {
    let volumes = template
        .pointer_mut("/spec/volumes")
        .and_then(Value::as_array_mut);
    volumes
        .into_iter()
        .flatten()
        .filter_map(|volume| volume.pointer_mut("/ephemeral/volumeClaimTemplate"))
}

/// What the history of an owner needs.
#[derive(Debug)]
pub enum Step {
    /// The template's revision is the newest.
    Current(Arc<ControllerRevision>),
    /// An older revision has this template: it becomes the newest, with this number.
    Renumber(Arc<ControllerRevision>, i64),
    /// A new revision with this name suffix and number.
    Create(String, i64),
}

/// Finds the template among the revisions.
pub fn find(template: &Value, revisions: &[Arc<ControllerRevision>], collisions: Option<i64>) -> Step {
    let newest = revisions.iter().max_by_key(|revision| revision.revision);
    let next = newest.map_or(1, |revision| revision.revision.saturating_add(1));
    // Earlier versions stored zeros; that they have gone is no new revision.
    let plain = |mut template: Value| {
        drop_unset_times(&mut template);
        drop_zeros(&mut template);
        template
    };
    let wanted = plain(template.clone());
    let mut latest_first = revisions.to_vec();
    latest_first.sort_by_key(|revision| Reverse(revision.revision));
    let same = |revision: &Arc<ControllerRevision>| plain(self::template(revision)) == wanted;
    match latest_first.into_iter().find(same) {
        Some(found) if Some(found.revision) == newest.map(|newest| newest.revision) => Step::Current(found),
        Some(found) => Step::Renumber(found, next),
        None => Step::Create(template_hash(template, collisions), next),
    }
}

/// Carries a step out and returns the revision's name and hash.
pub async fn apply(
    api: &Api,
    (resource, owner): (&Resource, &Meta),
    labels: &Value,
    template: &Value,
    step: Step,
) -> Result<Revision, Error> {
    let target = resources::controller_revisions();
    match step {
        Step::Current(found) => Ok(Revision::of(&found)),
        Step::Renumber(found, number) => {
            let patch = json!({"metadata": {"uid": found.metadata.uid}, "revision": number});
            api.patch(
                target,
                &owner.namespace,
                &found.metadata.name,
                "",
                Patch::Merge,
                &patch,
            )
            .await?;
            Ok(Revision::of(&found))
        }
        Step::Create(hash, number) => {
            let mut labels = labels.clone();
            labels[HASH_LABEL] = hash.clone().into();
            let name = format!("{}-{hash}", owner.name);
            let body = json!({
                "metadata": {
                    "name": name,
                    "namespace": owner.namespace,
                    "labels": labels,
                    "annotations": owner.annotations,
                    "ownerReferences": [controller_reference(owner, resource)],
                },
                "data": data(template),
                "revision": number,
            });
            api.create(target, &owner.namespace, body).await?;
            Ok(Revision { name, hash })
        }
    }
}

/// Name and hash of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Object name.
    pub name: String,
    /// Value of the label.
    pub hash: String,
}

impl Revision {
    /// Of an existing object.
    pub fn of(revision: &ControllerRevision) -> Self {
        Self {
            name: revision.metadata.name.clone(),
            hash: revision
                .metadata
                .labels
                .get(HASH_LABEL)
                .cloned()
                .unwrap_or_default(),
        }
    }
}

/// Revisions beyond the limit, oldest first, that no pod is of.
pub fn surplus(
    revisions: &[Arc<ControllerRevision>],
    limit: Option<i64>,
    in_use: impl Fn(&ControllerRevision) -> bool,
) -> Vec<Arc<ControllerRevision>> {
    let mut old: Vec<_> = revisions
        .iter()
        .filter(|revision| !in_use(revision))
        .cloned()
        .collect();
    old.sort_by_key(|revision| revision.revision);
    // A limit below nothing is none.
    let keep = usize::try_from(limit.unwrap_or(10)).unwrap_or(usize::MAX);
    old.truncate(old.len().saturating_sub(keep));
    old
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_found_with_the_zeros_that_earlier_versions_stored() {
        let wordy = json!({"metadata": {"labels": {"a": "b"}},
            "spec": {"hostNetwork": false, "containers": [{"name": "c", "stdin": false, "env": []}]}});
        let mut plain = wordy.clone();
        drop_zeros(&mut plain);
        assert_ne!(plain, wordy);
        let revision = json!({"metadata": {"name": "d-1", "uid": "u"}, "revision": 1, "data": data(&wordy)});
        let revisions = [Arc::new(serde_json::from_value(revision).unwrap())];
        assert!(matches!(find(&plain, &revisions, None), Step::Current(_)));
        plain["spec"]["hostNetwork"] = true.into();
        assert!(matches!(find(&plain, &revisions, None), Step::Create(_, 2)));
    }
    #[test]
    fn revisions_may_hold_anything() {
        let wanted = json!({"metadata": {"labels": {"a": "b"}}});
        for data in [
            json!(5),
            json!("x"),
            json!([]),
            json!({"spec": 5}),
            json!({"spec": {"template": []}}),
            json!({"spec": {"template": {"metadata": {"labels": 5}}}}),
        ] {
            let revision =
                json!({"metadata": {"name": "d-1", "uid": "u"}, "revision": i64::MAX, "data": data});
            let revisions = [Arc::new(serde_json::from_value(revision).unwrap())];
            assert!(
                matches!(find(&wanted, &revisions, None), Step::Create(_, i64::MAX)),
                "{data}"
            );
            assert_eq!(usable_template(&revisions[0]), None, "{data}");
        }
    }
}
