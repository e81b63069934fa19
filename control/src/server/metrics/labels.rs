//! By what requests are told apart. Pure.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};

use crate::kinds::Text;
use crate::server::path::ResourcePath;
use crate::server::query::Query;
use crate::server::registry::Registry;

/// Labels of a request. Paths that nobody serves share one set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels {
    pub group: Text,
    pub version: Text,
    pub resource: Text,
    pub subresource: Text,
    /// As upstream's monitoring sees it: the method in capitals, but for those that it tells apart.
    pub verb: &'static str,
    pub scope: &'static str,
    pub dry_run: &'static str,
    pub component: &'static str,
}

impl Labels {
    /// Of a request of which is not told what it was for.
    pub fn without_resource(self) -> Self {
        Self {
            group: Text::default(),
            version: Text::default(),
            resource: Text::default(),
            subresource: Text::default(),
            ..self
        }
    }

    /// Of a request; `verb` is the one that is authorized.
    pub fn of(
        registry: &Registry,
        (method, headers): (&Method, &HeaderMap),
        (verb, path): (&str, &str),
        target: Option<&ResourcePath>,
        query: &Query,
    ) -> Self {
        let dry_run = dry_run(query);
        let Some(target) = target else {
            let (subresource, component) = match path {
                "/healthz" => ("/healthz", ""),
                "/livez" => ("/livez", ""),
                "/readyz" => ("/readyz", ""),
                _ => ("", "apiserver"),
            };
            return Self {
                verb: by_method(method, headers, ""),
                dry_run,
                subresource: subresource.into(),
                component,
                ..Self::default()
            };
        };
        let scope = if !target.name.is_empty() || *method == Method::POST {
            "resource"
        } else if !target.namespace.is_empty() {
            "namespace"
        } else {
            "cluster"
        };
        let connects = matches!(
            target.subresource.as_str(),
            "log" | "exec" | "portforward" | "attach" | "proxy"
        );
        let mut labels = Self {
            verb: match verb {
                "watch" => "WATCH",
                _ if connects => "CONNECT",
                _ => by_method(method, headers, scope),
            },
            scope,
            dry_run,
            component: "apiserver",
            ..Self::default()
        };
        if let Some(served) = registry.find(&target.group, &target.version, &target.resource) {
            let kind = &*served.kind;
            labels.group.clone_from(&kind.group);
            labels.version.clone_from(&kind.version);
            labels.resource.clone_from(&kind.plural);
            let subresource = kind.subresource(&target.subresource);
            labels.subresource = subresource.map_or_else(Text::default, |known| known.name.clone());
        }
        labels
    }
}

fn by_method(method: &Method, headers: &HeaderMap, scope: &str) -> &'static str {
    let applies = || {
        headers
            .get(CONTENT_TYPE)
            .is_some_and(|media| media == "application/apply-patch+yaml")
    };
    match method.as_str() {
        "GET" | "HEAD" if matches!(scope, "" | "resource") => "GET",
        "GET" | "HEAD" => "LIST",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" if applies() => "APPLY",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

fn dry_run(query: &Query) -> &'static str {
    let mut asked = query.all("dryRun").peekable();
    if asked.peek().is_none() {
        ""
    } else if asked.all(|value| value == "All") {
        "All"
    } else {
        "invalid"
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::server::path;

    #[test]
    fn requests_are_called_as_upstream_calls_them() {
        let registry = Registry::builtin();
        let pods = "/api/v1/namespaces/a/pods";
        let deployment = "/apis/apps/v1/namespaces/a/deployments/d";
        for (method, verb, path, query, expected) in [
            ("GET", "get", "/api/v1/nodes/n", "", "GET  v1 nodes  resource"),
            ("GET", "list", "/api/v1/nodes", "", "LIST  v1 nodes  cluster"),
            ("GET", "list", pods, "", "LIST  v1 pods  namespace"),
            ("GET", "watch", pods, "watch=1", "WATCH  v1 pods  namespace"),
            (
                "GET",
                "watch",
                "/api/v1/watch/pods",
                "",
                "WATCH  v1 pods  cluster",
            ),
            ("POST", "create", pods, "dryRun=All", "POST All v1 pods  resource"),
            (
                "POST",
                "create",
                pods,
                "dryRun=x",
                "POST invalid v1 pods  resource",
            ),
            (
                "PUT",
                "update",
                deployment,
                "",
                "PUT  apps/v1 deployments  resource",
            ),
            (
                "PATCH",
                "patch",
                deployment,
                "",
                "APPLY  apps/v1 deployments  resource",
            ),
            (
                "DELETE",
                "deletecollection",
                pods,
                "",
                "DELETE  v1 pods  namespace",
            ),
            (
                "GET",
                "get",
                "/api/v1/namespaces/a/pods/p/log",
                "",
                "CONNECT  v1 pods log resource",
            ),
            (
                "GET",
                "get",
                "/api/v1/namespaces/a/pods/p/nothing",
                "",
                "GET  v1 pods  resource",
            ),
            ("GET", "list", "/apis/none/v1/xs", "", "LIST     cluster"),
            ("BREW", "", "/apis/none/v1/xs", "", "other     cluster"),
            ("GET", "get", "/readyz", "", "GET    /readyz "),
            ("GET", "get", "/readyz/etcd", "", "GET     "),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let media = HeaderValue::from_static("application/apply-patch+yaml");
            let headers = [(CONTENT_TYPE, media)].into_iter().collect::<HeaderMap>();
            let target = path::parse(path);
            let query = Query::parse(query);
            let found = Labels::of(
                &registry,
                (&method, &headers),
                (verb, path),
                target.as_ref(),
                &query,
            );
            let version = if found.group.is_empty() {
                found.version.to_string()
            } else {
                format!("{}/{}", found.group, found.version)
            };
            let shown = format!(
                "{} {} {version} {} {} {}",
                found.verb, found.dry_run, found.resource, found.subresource, found.scope
            );
            assert_eq!(shown, expected, "{method} {path}");
            let component = if path == "/readyz" { "" } else { "apiserver" };
            assert_eq!(found.component, component);
        }
    }
}
