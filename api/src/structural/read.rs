//! JSON to [`Structural`]. What `rules` refuses is read as if it were not there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::pattern::Pattern;
use super::{Additional, Bound, Checks, Kind, List, Structural};

impl Structural {
    /// Reads an `openAPIV3Schema` that [`super::check`] has no complaints about.
    pub fn read(schema: &Value) -> Self {
        Reader::default().schema(schema)
    }
}

/// Reads a schema and its parts.
#[derive(Debug, Default)]
struct Reader<'a> {
    /// Expressions that have been met: a definition repeats few of them in thousands of places.
    patterns: HashMap<&'a str, Arc<Pattern>>,
}

impl<'a> Reader<'a> {
    fn schema(&mut self, schema: &'a Value) -> Structural {
        let flag = |name: &str| schema[name] == true;
        let properties: BTreeMap<String, Structural> = schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, schema)| (name.clone(), self.schema(schema)))
            .collect();
        let defaulted = properties
            .iter()
            .filter(|(_, property)| property.default.is_some());
        Structural {
            kind: kind_of(text(schema, "type")),
            nullable: flag("nullable"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            preserve: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            default: schema.get("default").filter(|value| !value.is_null()).cloned(),
            defaulted: defaulted.map(|(name, _)| name.clone()).collect(),
            properties,
            additional: match &schema["additionalProperties"] {
                Value::Bool(true) => Additional::Any,
                schema @ Value::Object(_) => Additional::Schema(Box::new(self.schema(schema))),
                _ => Additional::None,
            },
            items: self.part(schema, "items"),
            list: match text(schema, "x-kubernetes-list-type") {
                "set" => List::Set,
                "map" => List::Map(texts(&schema["x-kubernetes-list-map-keys"])),
                _ => List::Atomic,
            },
            atomic: text(schema, "x-kubernetes-map-type") == "atomic",
            checks: self.checks(schema),
        }
    }

    fn part(&mut self, schema: &'a Value, name: &str) -> Option<Box<Structural>> {
        schema
            .get(name)
            .filter(|part| part.is_object())
            .map(|part| Box::new(self.schema(part)))
    }

    fn parts(&mut self, schema: &'a Value, name: &str) -> Vec<Structural> {
        let list = schema[name].as_array().into_iter().flatten();
        list.map(|part| self.schema(part)).collect()
    }

    fn pattern(&mut self, schema: &'a Value) -> Option<Arc<Pattern>> {
        let pattern = Some(text(schema, "pattern")).filter(|pattern| !pattern.is_empty())?;
        let known = self.patterns.entry(pattern);
        Some(Arc::clone(
            known.or_insert_with(|| Arc::new(Pattern::new(pattern))),
        ))
    }

    fn checks(&mut self, schema: &'a Value) -> Checks {
        let count = |name: &str| schema[name].as_u64();
        let bound = |name: &str, exclusive: &str| {
            schema[name].as_f64().map(|at| Bound {
                at,
                exclusive: schema[exclusive] == true,
            })
        };
        Checks {
            required: distinct(texts(&schema["required"])),
            allowed_texts: texts(&schema["enum"]).into_iter().collect(),
            allowed: schema["enum"].as_array().cloned().unwrap_or_default(),
            pattern: self.pattern(schema),
            format: text(schema, "format").to_owned(),
            minimum: bound("minimum", "exclusiveMinimum"),
            maximum: bound("maximum", "exclusiveMaximum"),
            multiple_of: schema["multipleOf"].as_f64(),
            min_length: count("minLength"),
            max_length: count("maxLength"),
            min_items: count("minItems"),
            max_items: count("maxItems"),
            min_properties: count("minProperties"),
            max_properties: count("maxProperties"),
            all_of: self.parts(schema, "allOf"),
            any_of: self.parts(schema, "anyOf"),
            one_of: self.parts(schema, "oneOf"),
            not: self.part(schema, "not"),
        }
    }
}

/// Each text once, in the same order.
fn distinct(mut texts: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::with_capacity(texts.len());
    texts.retain(|text| seen.insert(text.clone()));
    texts
}

pub(super) fn kind_of(text: &str) -> Option<Kind> {
    Some(match text {
        "object" => Kind::Object,
        "array" => Kind::Array,
        "string" => Kind::String,
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "boolean" => Kind::Boolean,
        _ => return None,
    })
}

pub(super) fn text<'a>(schema: &'a Value, name: &str) -> &'a str {
    schema[name].as_str().unwrap_or_default()
}

pub(super) fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}
