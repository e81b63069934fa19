//! Paths and operations. kubectl finds a kind's schema, and whether the server validates fields, by the operations'
//! `x-kubernetes-group-version-kind` and their `fieldValidation` parameter.

use serde_json::{Map, Value, json};

use super::schemas::{Wanted, reference};
use super::{Members, Resource, Subresource, group_version_path};

const JSON: &str = "application/json";

/// Writes the paths of one resource and its subresources.
pub(super) fn write(paths: &mut dyn Members, resource: &Resource, wanted: &mut Wanted) {
    let base = format!("/{}", group_version_path(&resource.group, &resource.version));
    let (scope, in_namespace) = if resource.namespaced {
        ("/namespaces/{namespace}", "Namespaced")
    } else {
        ("", "")
    };
    let collection = format!("{base}{scope}/{}", resource.plural);
    let body = wanted.kind(
        &resource.group,
        &resource.version,
        &resource.kind,
        resource.schema.as_ref(),
    );
    let has = |verb: &str| resource.verbs.iter().any(|other| other == verb);
    let operations = Operations {
        resource,
        gvk: gvk(&resource.group, &resource.version, &resource.kind),
        body: &body,
    };
    let kind = &resource.kind;

    let mut methods = Map::new();
    if has("list") {
        let list = wanted.list(resource, kind, &body);
        let id = operations.id("list", in_namespace, "");
        methods.insert(
            "get".to_owned(),
            operations.operation(&id, "list", LIST, None, &list),
        );
        if resource.namespaced {
            let id = operations.id("list", "", "ForAllNamespaces");
            let all = json!({"get": operations.operation(&id, "list", LIST, None, &list)});
            paths.member(&format!("{base}/{}", resource.plural), &all);
        }
    }
    if has("create") {
        let id = operations.id("create", in_namespace, "");
        methods.insert(
            "post".to_owned(),
            operations.operation(&id, "post", WRITE, Some(&[JSON]), &body),
        );
    }
    if has("deletecollection") {
        let id = operations.id("deleteCollection", in_namespace, "");
        let status = wanted.status();
        methods.insert(
            "delete".to_owned(),
            operations.operation(&id, "deletecollection", LIST, None, &status),
        );
    }
    if !methods.is_empty() {
        methods.insert("parameters".to_owned(), in_path(resource.namespaced, false));
        paths.member(&collection, &Value::Object(methods));
    }

    let methods = item_methods(&operations, &resource.verbs, in_namespace, "", wanted);
    if !methods.is_empty() {
        let mut methods = methods;
        methods.insert("parameters".to_owned(), in_path(resource.namespaced, true));
        paths.member(&format!("{collection}/{{name}}"), &Value::Object(methods));
    }
    if has("watch") && resource.schema.is_none() {
        watches(paths, &operations, &base, scope, wanted);
    }
    for subresource in &resource.subresources {
        let path = format!("{collection}/{{name}}/{}", subresource.name);
        write_subresource(paths, resource, subresource, in_namespace, &path, wanted);
    }
}

/// The old paths of watches: of all namespaces, of a collection and of one object.
fn watches(
    paths: &mut dyn Members,
    operations: &Operations<'_>,
    base: &str,
    scope: &str,
    wanted: &mut Wanted,
) {
    let resource = operations.resource;
    let event = wanted.watch_event();
    let in_namespace = if resource.namespaced { "Namespaced" } else { "" };
    let collection = format!("{base}/watch{scope}/{}", resource.plural);
    let one = format!("{collection}/{{name}}");
    let mut write = |path: &str, action: &str, id: &str, parameters: Value| {
        let get = operations.operation(id, action, LIST, None, &event);
        paths.member(path, &json!({"get": get, "parameters": parameters}));
    };
    if resource.namespaced {
        let id = operations.id("watch", "", "ListForAllNamespaces");
        write(
            &format!("{base}/watch/{}", resource.plural),
            "watchlist",
            &id,
            json!([]),
        );
    }
    let id = operations.id("watch", in_namespace, "List");
    write(&collection, "watchlist", &id, in_path(resource.namespaced, false));
    let id = operations.id("watch", in_namespace, "");
    write(&one, "watch", &id, in_path(resource.namespaced, true));
}

fn write_subresource(
    paths: &mut dyn Members,
    resource: &Resource,
    subresource: &Subresource,
    in_namespace: &str,
    path: &str,
    wanted: &mut Wanted,
) {
    let own = subresource.kind == resource.kind && subresource.group == resource.group;
    let schema = if own { resource.schema.as_ref() } else { None };
    let body = wanted.kind(
        &subresource.group,
        &subresource.version,
        &subresource.kind,
        schema,
    );
    let operations = Operations {
        resource,
        gvk: gvk(&subresource.group, &subresource.version, &subresource.kind),
        body: &body,
    };
    let suffix = capital(&subresource.name);
    let mut methods = item_methods(&operations, &subresource.verbs, in_namespace, &suffix, wanted);
    if subresource.verbs.iter().any(|verb| verb == "create") {
        let id = operations.id("create", in_namespace, &suffix);
        methods.insert(
            "post".to_owned(),
            operations.operation(&id, "post", WRITE, Some(&[JSON]), &body),
        );
    }
    methods.insert("parameters".to_owned(), in_path(resource.namespaced, true));
    paths.member(path, &Value::Object(methods));
}

fn item_methods(
    operations: &Operations<'_>,
    verbs: &[String],
    in_namespace: &str,
    suffix: &str,
    wanted: &mut Wanted,
) -> Map<String, Value> {
    let has = |verb: &str| verbs.iter().any(|other| other == verb);
    let mut methods = Map::new();
    if has("get") {
        let id = operations.id("read", in_namespace, suffix);
        methods.insert(
            "get".to_owned(),
            operations.operation(&id, "get", &[], None, operations.body),
        );
    }
    if has("update") {
        let id = operations.id("replace", in_namespace, suffix);
        let operation = operations.operation(&id, "put", WRITE, Some(&[JSON]), operations.body);
        methods.insert("put".to_owned(), operation);
    }
    if has("patch") {
        let id = operations.id("patch", in_namespace, suffix);
        let types = operations.patch_types();
        methods.insert(
            "patch".to_owned(),
            operations.operation(&id, "patch", PATCH, Some(types), operations.body),
        );
    }
    if has("delete") {
        let id = operations.id("delete", in_namespace, suffix);
        let status = wanted.status();
        methods.insert(
            "delete".to_owned(),
            operations.operation(&id, "delete", DELETE, None, &status),
        );
    }
    methods
}

struct Operations<'a> {
    resource: &'a Resource,
    gvk: Value,
    /// Name of the schema of the body.
    body: &'a str,
}

impl Operations<'_> {
    /// `readAppsV1NamespacedDeploymentStatus`.
    fn id(&self, verb: &str, in_namespace: &str, suffix: &str) -> String {
        let group = self.resource.group.split('.').next().unwrap_or_default();
        let group = if group.is_empty() {
            "Core".to_owned()
        } else {
            capital(group)
        };
        format!(
            "{verb}{group}{}{in_namespace}{}{suffix}",
            capital(&self.resource.version),
            self.resource.kind
        )
    }

    fn patch_types(&self) -> &'static [&'static str] {
        const CUSTOM: &[&str] = &[
            "application/apply-patch+yaml",
            "application/json-patch+json",
            "application/merge-patch+json",
        ];
        const ALL: &[&str] = &[
            "application/apply-patch+yaml",
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
        ];
        if self.resource.schema.is_some() {
            CUSTOM
        } else {
            ALL
        }
    }

    fn operation(
        &self,
        id: &str,
        action: &str,
        parameters: &[(&str, &str, &str)],
        takes: Option<&[&str]>,
        gives: &str,
    ) -> Value {
        let parameters: Vec<Value> = parameters
            .iter()
            .map(|(name, kind, text)| {
                json!({"name": name, "in": "query", "description": text, "schema": {"type": kind, "uniqueItems": true}})
            })
            .collect();
        let mut operation = json!({
            "operationId": id,
            "responses": {
                "200": {"description": "OK", "content": {JSON: {"schema": reference(gives)}}},
                "401": {"description": "Unauthorized"}
            },
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": self.gvk,
        });
        if !parameters.is_empty() {
            operation["parameters"] = Value::Array(parameters);
        }
        if let Some(types) = takes {
            let mut content = Map::new();
            for media_type in types {
                let schema = if *media_type == JSON {
                    reference(self.body)
                } else {
                    json!({"type": "object"})
                };
                content.insert((*media_type).to_owned(), json!({ "schema": schema }));
            }
            operation["requestBody"] = json!({"content": content, "required": true});
        }
        operation
    }
}

fn gvk(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "kind": kind, "version": version})
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|c| c.to_ascii_uppercase())
        .into_iter()
        .chain(chars)
        .collect()
}

fn in_path(namespaced: bool, named: bool) -> Value {
    let parameter = |name: &str, text: &str| {
        json!({"name": name, "in": "path", "required": true, "description": text,
               "schema": {"type": "string", "uniqueItems": true}})
    };
    let mut out = Vec::new();
    if named {
        out.push(parameter("name", "name of the object"));
    }
    if namespaced {
        out.push(parameter("namespace", "namespace of the object"));
    }
    Value::Array(out)
}

type Parameter = (&'static str, &'static str, &'static str);

const DRY_RUN: Parameter = (
    "dryRun",
    "string",
    "`All` runs the request without storing anything.",
);
const MANAGER: Parameter = ("fieldManager", "string", "The actor that makes these changes.");
const VALIDATION: Parameter = (
    "fieldValidation",
    "string",
    "What to do about unknown or duplicate fields: `Ignore`, `Warn` or `Strict`.",
);

const WRITE: &[Parameter] = &[DRY_RUN, MANAGER, VALIDATION];
const PATCH: &[Parameter] = &[
    DRY_RUN,
    MANAGER,
    VALIDATION,
    (
        "force",
        "boolean",
        "Take over fields of other managers; for apply patches only.",
    ),
];
const DELETE: &[Parameter] = &[
    DRY_RUN,
    (
        "gracePeriodSeconds",
        "integer",
        "Seconds before the object is deleted; 0 is at once.",
    ),
    (
        "propagationPolicy",
        "string",
        "What becomes of dependents: `Orphan`, `Background` or `Foreground`.",
    ),
];
const LIST: &[Parameter] = &[
    ("allowWatchBookmarks", "boolean", "Ask for BOOKMARK events."),
    ("continue", "string", "Where to go on in a list of several pages."),
    (
        "fieldSelector",
        "string",
        "Restricts the list of returned objects to those with such fields; without it all are in it.",
    ),
    (
        "labelSelector",
        "string",
        "Restricts the list of returned objects to those with such labels; without it all are in it.",
    ),
    ("limit", "integer", "The largest number of objects in one answer."),
    (
        "resourceVersion",
        "string",
        "How old the answer may be, or from where to watch.",
    ),
    (
        "resourceVersionMatch",
        "string",
        "How resourceVersion applies to lists.",
    ),
    ("sendInitialEvents", "boolean", "Begin a watch with what exists."),
    ("timeoutSeconds", "integer", "When to end the call."),
    (
        "watch",
        "boolean",
        "Watch for changes to the described resources: a stream of what is added, changed and removed from \
         resourceVersion on.",
    ),
];
