//! DefaultIngressClass: an Ingress that names no class gets the one that is marked as default.

use super::fields::map;
use super::{Context, Request};
use crate::auth::resources::INGRESS_CLASSES;

const DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
/// How a class was named before there was a field for it.
const ANNOTATION: &str = "kubernetes.io/ingress.class";

pub fn admit(context: &Context, request: &mut Request<'_>) {
    if !request.creates("networking.k8s.io", "ingresses") {
        return;
    }
    let ingress = request.object();
    if !ingress["spec"]["ingressClassName"].is_null()
        || !ingress["metadata"]["annotations"][ANNOTATION].is_null()
    {
        return;
    }
    // Of several defaults the newest counts, and of those the first by name.
    let default = context
        .reader
        .list(&INGRESS_CLASSES, None)
        .into_iter()
        .map(|class| (class.value(), class))
        .filter(|(value, _)| value["metadata"]["annotations"][DEFAULT] == "true")
        .max_by(|(left, one), (right, other)| {
            let made = |value: &serde_json::Value| {
                value["metadata"]["creationTimestamp"].as_str().map(str::to_owned)
            };
            made(left).cmp(&made(right)).then(other.name.cmp(&one.name))
        });
    if let (Some((_, class)), Some(spec)) = (
        default,
        request
            .object
            .as_deref_mut()
            .and_then(|ingress| map(ingress, "spec")),
    ) {
        spec.insert("ingressClassName".to_owned(), class.name.as_str().into());
    }
}
