//! Paths that say what there is: versions, groups, and the keys of tokens. Each has a document of its own in v3, but for the
//! lists of resources, which are in the document of their group and version.

use serde_json::{Map, Value, json};

use super::schemas::{Wanted, reference};
use super::{Members, Resource, group_version_path};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
/// Forms of what the API machinery answers.
const ALL: &[&str] = &[
    "application/json",
    "application/vnd.kubernetes.protobuf",
    "application/yaml",
];
const JSON: &[&str] = &["application/json"];
const KEYS: &[&str] = &["application/jwk-set+json"];

/// A path that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// Without slashes around it.
    pub(super) path: String,
    id: String,
    description: &'static str,
    tag: String,
    forms: &'static [&'static str],
    /// Name of the definition of what it answers, which is text if there is none.
    gives: Option<String>,
}

/// Those that every server has.
fn fixed() -> Vec<Page> {
    let page = |path: &str, id: &str, description, tag: &str, forms, gives: Option<String>| Page {
        path: path.to_owned(),
        id: id.to_owned(),
        description,
        tag: tag.to_owned(),
        forms,
        gives,
    };
    let meta = |kind: &str| Some(format!("{META}.{kind}"));
    let versions = "get available API versions";
    vec![
        page(
            ".well-known/openid-configuration",
            "getServiceAccountIssuerOpenIDConfiguration",
            "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'",
            "WellKnown",
            JSON,
            None,
        ),
        page(
            "api",
            "getCoreAPIVersions",
            versions,
            "core",
            ALL,
            meta("APIVersions"),
        ),
        page(
            "apis",
            "getAPIVersions",
            versions,
            "apis",
            ALL,
            meta("APIGroupList"),
        ),
        page(
            "openid/v1/jwks",
            "getServiceAccountIssuerOpenIDKeyset",
            "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)",
            "openid",
            KEYS,
            None,
        ),
        page(
            "version",
            "getCodeVersion",
            "get the version information for this server",
            "version",
            JSON,
            Some("io.k8s.apimachinery.pkg.version.Info".to_owned()),
        ),
    ]
}

/// All that have documents: the fixed ones, and the groups of built-in kinds. (Upstream's server of custom resources has
/// documents for versions only.)
pub(super) fn pages(resources: &[Resource]) -> Vec<Page> {
    let mut pages = fixed();
    for resource in resources.iter().filter(|resource| resource.schema.is_none()) {
        let group = &resource.group;
        let path = format!("apis/{group}");
        if group.is_empty() || pages.iter().any(|page| page.path == path) {
            continue;
        }
        let tag = tag(group, "");
        pages.push(Page {
            path,
            id: format!("get{}APIGroup", capital(&tag)),
            description: "get information of a group",
            tag,
            forms: ALL,
            gives: Some(format!("{META}.APIGroup")),
        });
    }
    pages
}

/// The list of the resources of a built-in group and version.
pub(super) fn resource_list(group: &str, version: &str) -> Page {
    let tag = tag(group, version);
    Page {
        path: group_version_path(group, version),
        id: format!(
            "get{}APIResources",
            tag.split('_').map(capital).collect::<String>()
        ),
        description: "get available resources",
        tag,
        forms: ALL,
        gives: Some(format!("{META}.APIResourceList")),
    }
}

impl Page {
    /// Writes the path, which ends in a slash here.
    pub(super) fn write(&self, paths: &mut dyn Members, wanted: &mut Wanted) {
        let schema = match &self.gives {
            Some(name) => {
                wanted.builtin(name);
                reference(name)
            }
            None => json!({"type": "string"}),
        };
        let content: Map<String, Value> = self
            .forms
            .iter()
            .map(|form| ((*form).to_owned(), json!({ "schema": schema })))
            .collect();
        let get = json!({
            "description": self.description,
            "operationId": self.id,
            "responses": {
                "200": {"description": "OK", "content": content},
                "401": {"description": "Unauthorized"},
            },
            "tags": [self.tag],
        });
        paths.member(&format!("/{}/", self.path), &json!({ "get": get }));
    }
}

/// `rbacAuthorization_v1`: upstream's name of a group, without the domain of the community, and of a version of it.
fn tag(group: &str, version: &str) -> String {
    let group = group.strip_suffix(".k8s.io").unwrap_or(group);
    let mut parts = group.split('.');
    let mut name = parts
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or("core")
        .to_owned();
    name.extend(parts.map(capital));
    if !version.is_empty() {
        name = format!("{name}_{version}");
    }
    name
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_upstreams_names() {
        for (group, version, id, name) in [
            ("", "v1", "getCoreV1APIResources", "core_v1"),
            ("apps", "v1", "getAppsV1APIResources", "apps_v1"),
            (
                "rbac.authorization.k8s.io",
                "v1",
                "getRbacAuthorizationV1APIResources",
                "rbacAuthorization_v1",
            ),
            (
                "flowcontrol.apiserver.k8s.io",
                "v1",
                "getFlowcontrolApiserverV1APIResources",
                "flowcontrolApiserver_v1",
            ),
        ] {
            let page = resource_list(group, version);
            assert_eq!((page.id.as_str(), page.tag.as_str()), (id, name));
        }
    }
}
