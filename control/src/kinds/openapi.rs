//! The table as OpenAPI documents describe it.

use keelson_api::openapi::{Resource, Subresource};

use super::Kind;

/// What documents need to know of a kind.
pub fn resource(kind: &Kind) -> Resource {
    let owned = |verbs: &[&str]| verbs.iter().map(|verb| (*verb).to_owned()).collect();
    Resource {
        group: kind.group.to_string(),
        version: kind.version.to_string(),
        kind: kind.kind.to_string(),
        plural: kind.plural.to_string(),
        namespaced: kind.namespaced,
        verbs: owned(kind.verbs),
        subresources: kind
            .subresources
            .iter()
            .map(|subresource| Subresource {
                name: subresource.name.to_string(),
                group: subresource.group.to_string(),
                version: subresource.version.to_string(),
                kind: subresource.kind.to_string(),
                verbs: owned(subresource.verbs),
            })
            .collect(),
        schema: kind.custom.as_ref().map(|custom| custom.openapi().clone()),
    }
}
