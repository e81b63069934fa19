//! `components.schemas`: the definitions that paths refer to, and those that these refer to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::{CustomSchema, Members, Resource};
use crate::schema::{DOCS, LISTS, Merge, Schema, TYPES, list_line};

/// What a document must define.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Names of built-in definitions.
    builtin: BTreeSet<String>,
    /// Definitions made here: lists, and custom resources.
    made: BTreeMap<String, Value>,
}

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// Of what Go's structs always have, what clients need not say: metadata, and names that have always been allowed to be
/// empty. The metadata of core events are the exception, whose tag in Go does not say that they may be left out.
fn may_be_missing(definition: &str, expression: &str, doc: &str) -> bool {
    const EMPTY: &str = "effectively required, but due to backwards compatibility is allowed to be empty";
    let metadata = expression.ends_with(".ObjectMeta") && definition != "io.k8s.api.core.v1.Event";
    metadata || expression.ends_with(".ListMeta") || doc.contains(EMPTY)
}

impl Wanted {
    /// The name of a kind's definition.
    pub(super) fn kind(
        &mut self,
        group: &str,
        version: &str,
        kind: &str,
        schema: Option<&CustomSchema>,
    ) -> String {
        if let Some(known) = Schema::builtin().kind(group, version, kind) {
            let name = known.definition().name.to_string();
            self.builtin.insert(name.clone());
            return name;
        }
        // Reversed, as upstream names custom resources: com.example.v1.Widget.
        let mut parts: Vec<&str> = group.split('.').rev().filter(|part| !part.is_empty()).collect();
        parts.extend([version, kind]);
        let name = parts.join(".");
        let mut schema = schema.map_or_else(|| json!({"type": "object"}), CustomSchema::value);
        self.implied(&mut schema);
        schema["x-kubernetes-group-version-kind"] =
            json!([{"group": group, "kind": kind, "version": version}]);
        self.made.insert(name.clone(), schema);
        name
    }

    /// What every object has, which the schema of a custom resource need not say.
    fn implied(&mut self, schema: &mut Value) {
        let meta = format!("{META}.ObjectMeta");
        self.builtin.insert(meta.clone());
        if !schema["properties"].is_object() {
            schema["properties"] = json!({});
        }
        let text = |text: &str| json!({"type": "string", "description": text});
        schema["properties"]["apiVersion"] = text(
            "APIVersion defines the versioned schema of this representation of an object. Servers should convert \
             recognized schemas to the latest internal value, and may reject unrecognized values.",
        );
        schema["properties"]["kind"] = text(
            "Kind is a string value representing the REST resource this object represents. Servers may infer this from \
             the endpoint the client submits requests to. Cannot be updated. In CamelCase.",
        );
        schema["properties"]["metadata"] =
            json!({"allOf": [reference(&meta)], "description": "Standard object's metadata."});
    }

    /// The name of the definition of a kind's list.
    pub(super) fn list(&mut self, resource: &Resource, kind: &str, item: &str) -> String {
        let (group, version) = (&resource.group, &resource.version);
        let name = format!("{item}List");
        self.builtin.insert(format!("{META}.ListMeta"));
        let schema = json!({
            "description": format!("{kind}List is a list of {kind} objects."),
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string"},
                "items": {
                    "type": "array", "items": reference(item), "description": format!("List of {}", resource.plural),
                },
                "kind": {"type": "string"},
                "metadata": reference(&format!("{META}.ListMeta")),
            },
            "x-kubernetes-group-version-kind": [{"group": group, "kind": format!("{kind}List"), "version": version}],
        });
        self.made.insert(name.clone(), schema);
        name
    }

    /// The name of `WatchEvent`.
    pub(super) fn watch_event(&mut self) -> String {
        let name = format!("{META}.WatchEvent");
        let schema = json!({
            "description": "Event represents a single event to a watched resource.",
            "type": "object",
            "required": ["type", "object"],
            "properties": {
                "object": {"type": "object", "description": "The object after the change; of an error, a Status."},
                "type": {"type": "string"},
            },
        });
        self.made.insert(name.clone(), schema);
        name
    }

    /// Has a built-in definition of that name.
    pub(super) fn builtin(&mut self, name: &str) {
        self.builtin.insert(name.to_owned());
    }

    /// The name of `Status`.
    pub(super) fn status(&mut self) -> String {
        let name = format!("{META}.Status");
        self.builtin.insert(name.clone());
        name
    }
}

/// A reference to a definition.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A definition as the file has it.
struct Lines {
    /// What follows the name: kind, plain type.
    head: &'static str,
    fields: Vec<&'static str>,
}

/// Writes what is wanted and everything that it refers to.
pub(super) fn write(components: &mut dyn Members, wanted: Wanted) {
    let files = Files::read();
    let mut done = BTreeSet::new();
    let mut todo: Vec<String> = wanted.builtin.into_iter().collect();
    while let Some(name) = todo.pop() {
        if !done.insert(name.clone()) {
            continue;
        }
        if let Some(lines) = files.types.get(name.as_str()) {
            let schema = files.definition(&name, lines, &mut todo);
            components.member(&name, &schema);
        }
    }
    for (name, schema) in &wanted.made {
        components.member(name, schema);
    }
}

/// The embedded files, indexed for the time of writing one document.
struct Files {
    types: HashMap<&'static str, Lines>,
    docs: HashMap<&'static str, &'static str>,
    lists: HashMap<(String, &'static str), Merge>,
}

impl Files {
    fn read() -> Self {
        let mut types: HashMap<&'static str, Lines> = HashMap::new();
        let mut current = "";
        for line in TYPES.lines().filter(|line| !line.starts_with('#')) {
            if let Some(field) = line.strip_prefix(' ') {
                if let Some(lines) = types.get_mut(current) {
                    lines.fields.push(field);
                }
            } else {
                let (name, head) = line.split_once(' ').unwrap_or((line, ""));
                current = name;
                let fields = Vec::new();
                types.insert(name, Lines { head, fields });
            }
        }
        let docs = DOCS.lines().filter_map(|line| line.split_once('\t')).collect();
        let lists = LISTS
            .lines()
            .filter_map(list_line)
            .map(|(name, field, merge)| ((name, field), merge))
            .collect();
        Self { types, docs, lists }
    }

    fn definition(&self, name: &str, lines: &Lines, todo: &mut Vec<String>) -> Value {
        let mut schema = Map::new();
        if let Some(text) = self.docs.get(name) {
            schema.insert("description".to_owned(), Value::from(unescape(text)));
        }
        if let Some((_, alias)) = lines.head.split_once("= ") {
            plain(&mut schema, alias);
            return Value::Object(schema);
        }
        schema.insert("type".to_owned(), Value::from("object"));
        let mut properties = Map::new();
        let mut required = Vec::new();
        for line in &lines.fields {
            let Some((field, text)) = line.split_once(' ') else {
                continue;
            };
            let (field, always) = match field.strip_suffix('!') {
                Some(field) => (field, true),
                None => (field, false),
            };
            let mut property = Map::new();
            let doc = self.docs.get(format!("{name} {field}").as_str());
            if let Some(doc) = doc {
                property.insert("description".to_owned(), Value::from(unescape(doc)));
            }
            if always && !may_be_missing(name, text, doc.copied().unwrap_or_default()) {
                required.push(Value::from(field));
            }
            self.expression(&mut property, text, todo, true);
            if let Some(merge) = self.lists.get(&(name.to_owned(), field)) {
                extensions(&mut property, merge, text.starts_with("[]"));
            }
            properties.insert(field.to_owned(), Value::Object(property));
        }
        schema.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            schema.insert("required".to_owned(), Value::Array(required));
        }
        if let Some(merge) = self.lists.get(&(name.to_owned(), "-")) {
            extensions(&mut schema, merge, false);
        }
        if let Some(kind) = lines.head.strip_prefix('@') {
            let parts: Vec<&str> = kind.rsplitn(3, '/').collect();
            let (group, version, kind) = match parts[..] {
                [kind, version, group] => (group, version, kind),
                [kind, version] => ("", version, kind),
                _ => ("", "", kind),
            };
            let gvk = json!([{"group": group, "kind": kind, "version": version}]);
            schema.insert("x-kubernetes-group-version-kind".to_owned(), gvk);
        }
        Value::Object(schema)
    }

    /// The schema of a type expression; `beside` others, a reference must be wrapped.
    fn expression(&self, schema: &mut Map<String, Value>, text: &str, todo: &mut Vec<String>, beside: bool) {
        let inner = |text: &str, todo: &mut Vec<String>| {
            let mut inner = Map::new();
            self.expression(&mut inner, text, todo, false);
            Value::Object(inner)
        };
        if let Some(item) = text.strip_prefix("[]") {
            schema.insert("type".to_owned(), Value::from("array"));
            schema.insert("items".to_owned(), inner(item, todo));
        } else if let Some(value) = text.strip_prefix("map:") {
            schema.insert("type".to_owned(), Value::from("object"));
            schema.insert("additionalProperties".to_owned(), inner(value, todo));
        } else if self.types.contains_key(text) {
            todo.push(text.to_owned());
            let reference = reference(text);
            if beside {
                schema.insert("allOf".to_owned(), json!([reference]));
            } else if let Value::Object(reference) = reference {
                schema.extend(reference);
            }
        } else {
            plain(schema, text);
        }
    }
}

/// The schema of a plain type.
fn plain(schema: &mut Map<String, Value>, text: &str) {
    let (kind, format) = match text {
        "int32" | "int64" => ("integer", text),
        "bytes" => ("string", "byte"),
        "time" | "microtime" => ("string", "date-time"),
        "quantity" => {
            schema.insert(
                "oneOf".to_owned(),
                json!([{"type": "string"}, {"type": "number"}]),
            );
            return;
        }
        "int-or-string" => {
            schema.insert(
                "oneOf".to_owned(),
                json!([{"type": "integer"}, {"type": "string"}]),
            );
            schema.insert("format".to_owned(), Value::from("int-or-string"));
            return;
        }
        "any" => return,
        "number" => ("number", "double"),
        other => (other, ""),
    };
    schema.insert("type".to_owned(), Value::from(kind));
    if !format.is_empty() {
        schema.insert("format".to_owned(), Value::from(format));
    }
}

fn extensions(schema: &mut Map<String, Value>, merge: &Merge, list: bool) {
    let mut set = |name: &str, value: Value| drop(schema.insert(format!("x-kubernetes-{name}"), value));
    let strategies: Vec<&str> = [
        (merge.patch_merge, "merge"),
        (merge.retain_keys, "retainKeys"),
        (merge.patch_replace, "replace"),
    ]
    .into_iter()
    .filter_map(|(on, name)| on.then_some(name))
    .collect();
    if !strategies.is_empty() {
        set("patch-strategy", Value::from(strategies.join(",")));
    }
    if !merge.patch_key.is_empty() {
        set("patch-merge-key", Value::from(merge.patch_key));
    }
    if !merge.map_keys.is_empty() && list {
        set("list-type", Value::from("map"));
        set("list-map-keys", json!(merge.map_keys));
    } else if merge.set {
        set("list-type", Value::from("set"));
    } else if merge.atomic {
        set("list-type", Value::from("atomic"));
    }
    if merge.atomic_map {
        set("map-type", Value::from("atomic"));
    } else if merge.granular {
        set("map-type", Value::from("granular"));
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}
