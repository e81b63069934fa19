//! Reads the embedded files.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::{Definition, Field, Merge, Node, Schema};

/// Structure of the built-in types.
pub(crate) const TYPES: &str = include_str!("../../schema/v1_33.types");
/// Merge rules of the built-in types.
pub(crate) const LISTS: &str = include_str!("../../schema/v1_33.lists");
/// Descriptions: `DEFINITION[ FIELD]<tab>TEXT`, with `\n`, `\t` and `\\` escaped.
pub(crate) const DOCS: &str = include_str!("../../schema/v1_33.docs");

/// Parses the embedded types. The files are part of the program, so a line that cannot be read is left out here and
/// caught by a test.
pub(super) fn builtin() -> Schema {
    let indexes: HashMap<&str, u32> = TYPES
        .lines()
        .filter(|line| !line.starts_with([' ', '#']))
        .filter_map(|line| line.split(' ').next())
        .zip(0..)
        .collect();
    let mut definitions: Vec<Definition> = Vec::with_capacity(indexes.len());
    let mut kinds = BTreeMap::new();
    for line in TYPES.lines().filter(|line| !line.starts_with('#')) {
        if let Some(field) = line.strip_prefix(' ') {
            let Some((name, node)) = field.split_once(' ') else {
                continue;
            };
            let required = name.ends_with('!');
            if let Some(definition) = definitions.last_mut() {
                definition.fields.push(Field {
                    name: Cow::Borrowed(name.trim_end_matches('!')),
                    node: node_of(node, &indexes),
                    required,
                    merge: None,
                });
            }
            continue;
        }
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let mut definition = Definition {
            name: Cow::Borrowed(name),
            fields: Vec::new(),
            alias: None,
            atomic: false,
            preserve_unknown: false,
            has_always: false,
        };
        while let Some(word) = words.next() {
            if let Some(kind) = word.strip_prefix('@') {
                kinds.insert(kind, definitions.len() as u32);
            } else if word == "=" {
                definition.alias = words.next().map(|node| node_of(node, &indexes));
            }
        }
        definitions.push(definition);
    }
    for definition in &mut definitions {
        definition.fields.sort_by(|a, b| a.name.cmp(&b.name));
        definition.fields.shrink_to_fit();
    }
    resolve_aliases(&mut definitions);
    for (name, field, merge) in LISTS.lines().filter_map(list_line) {
        if let Some(index) = indexes.get(name.as_str())
            && let Some(definition) = definitions.get_mut(*index as usize)
        {
            if field == "-" {
                definition.atomic = merge.atomic_map;
            } else if let Some(field) = definition.fields.iter_mut().find(|other| other.name == field) {
                field.merge = Some(Box::new(merge));
            }
        }
    }
    for definition in &mut definitions {
        definition.has_always = definition.fields.iter().any(Field::is_always);
    }
    Schema { definitions, kinds }
}

/// Reads one line of the merge rules: full definition name, field, rule.
pub(crate) fn list_line(line: &'static str) -> Option<(String, &'static str, Merge)> {
    if line.starts_with('#') {
        return None;
    }
    let mut words = line.split(' ');
    let (name, field) = (words.next()?, words.next()?);
    let mut merge = Merge::default();
    for word in words {
        match word.split_once('=') {
            Some(("key", key)) => merge.patch_key = key,
            Some(("default", value)) => merge.default = Some(value.into()),
            Some(("map", keys)) => merge.map_keys = keys.split(',').map(Cow::Borrowed).collect(),
            _ => match word {
                "merge" => merge.patch_merge = true,
                "retain" => merge.retain_keys = true,
                "replace" => merge.patch_replace = true,
                "set" => merge.set = true,
                "atomic" => merge.atomic = true,
                "atomic-map" => merge.atomic_map = true,
                "granular" => merge.granular = true,
                "value" => merge.value = true,
                _ => return None,
            },
        }
    }
    Some((format!("io.k8s.{name}"), field, merge))
}

fn node_of(text: &str, indexes: &HashMap<&str, u32>) -> Node {
    if let Some(item) = text.strip_prefix("[]") {
        return Node::List(Box::new(node_of(item, indexes)));
    }
    if let Some(value) = text.strip_prefix("map:") {
        return Node::Map(Box::new(node_of(value, indexes)));
    }
    match text {
        "object" => Node::Object,
        "string" => Node::String,
        "bytes" => Node::Bytes,
        "boolean" => Node::Boolean,
        "int32" => Node::Int32,
        "int64" => Node::Int64,
        "number" => Node::Number,
        "quantity" => Node::Quantity,
        "time" => Node::Time,
        "microtime" => Node::MicroTime,
        "int-or-string" => Node::IntOrString,
        other => indexes.get(other).map_or(Node::Any, |index| Node::Struct(*index)),
    }
}

/// Replaces references to names of plain types by these types.
fn resolve_aliases(definitions: &mut [Definition]) {
    let aliases: Vec<Option<Node>> = definitions
        .iter()
        .map(|definition| definition.alias.clone())
        .collect();
    for field in definitions
        .iter_mut()
        .flat_map(|definition| &mut definition.fields)
    {
        resolve(&mut field.node, &aliases);
    }
}

fn resolve(node: &mut Node, aliases: &[Option<Node>]) {
    match node {
        Node::List(inner) | Node::Map(inner) => resolve(inner, aliases),
        Node::Struct(index) => {
            if let Some(Some(alias)) = aliases.get(*index as usize) {
                *node = alias.clone();
            }
        }
        _ => {}
    }
}
