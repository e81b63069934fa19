//! DefaultStorageClass: a claim that names no class gets the one that is marked as default.

use super::fields::{is_unset, map};
use super::{Context, Request};
use crate::auth::resources::STORAGE_CLASSES;

const DEFAULT: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];

pub fn admit(context: &Context, request: &mut Request<'_>) {
    if !request.creates("", "persistentvolumeclaims") {
        return;
    }
    let claim = request.object();
    // An empty class name is an answer: no class.
    let named = !claim["spec"]["storageClassName"].is_null();
    if named
        || !is_unset(
            claim,
            "/metadata/annotations/volume.beta.kubernetes.io~1storage-class",
        )
    {
        return;
    }
    let classes = context.reader.list(&STORAGE_CLASSES, None);
    // Of several defaults the newest counts, and of those the first by name.
    let default = classes
        .iter()
        .map(|class| (class, class.value()))
        .filter(|(_, value)| {
            DEFAULT
                .iter()
                .any(|mark| value["metadata"]["annotations"][*mark] == "true")
        })
        .max_by(|(a, left), (b, right)| {
            let made = |value: &serde_json::Value| {
                value["metadata"]["creationTimestamp"].as_str().map(str::to_owned)
            };
            made(left).cmp(&made(right)).then(b.name.cmp(&a.name))
        });
    if let (Some((class, _)), Some(spec)) = (
        default,
        request.object.as_deref_mut().and_then(|claim| map(claim, "spec")),
    ) {
        spec.insert("storageClassName".to_owned(), class.name.as_str().into());
    }
}
