//! JSON to [`Structural`]. What `rules` refuses is read as if it were not there.

use serde_json::Value;

use super::pattern::Pattern;
use super::{Additional, Bound, Checks, Kind, List, Structural};

impl Structural {
    /// Reads an `openAPIV3Schema` that [`super::check`] has no complaints about.
    pub fn read(schema: &Value) -> Self {
        let flag = |name: &str| schema[name] == true;
        Self {
            kind: kind_of(text(schema, "type")),
            nullable: flag("nullable"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            preserve: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            default: schema.get("default").filter(|value| !value.is_null()).cloned(),
            properties: schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, schema)| (name.clone(), Self::read(schema)))
                .collect(),
            additional: match &schema["additionalProperties"] {
                Value::Bool(true) => Additional::Any,
                schema @ Value::Object(_) => Additional::Schema(Box::new(Self::read(schema))),
                _ => Additional::None,
            },
            items: part(schema, "items"),
            list: match text(schema, "x-kubernetes-list-type") {
                "set" => List::Set,
                "map" => List::Map(texts(&schema["x-kubernetes-list-map-keys"])),
                _ => List::Atomic,
            },
            atomic: text(schema, "x-kubernetes-map-type") == "atomic",
            checks: checks(schema),
        }
    }
}

fn part(schema: &Value, name: &str) -> Option<Box<Structural>> {
    schema
        .get(name)
        .filter(|part| part.is_object())
        .map(|part| Box::new(Structural::read(part)))
}

fn checks(schema: &Value) -> Checks {
    let count = |name: &str| schema[name].as_u64();
    let bound = |name: &str, exclusive: &str| {
        schema[name].as_f64().map(|at| Bound {
            at,
            exclusive: schema[exclusive] == true,
        })
    };
    let all = |name: &str| {
        let list = schema[name].as_array().into_iter().flatten();
        list.map(Structural::read).collect()
    };
    Checks {
        required: texts(&schema["required"]),
        allowed: schema["enum"].as_array().cloned().unwrap_or_default(),
        pattern: Some(text(schema, "pattern"))
            .filter(|pattern| !pattern.is_empty())
            .map(Pattern::new),
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
        all_of: all("allOf"),
        any_of: all("anyOf"),
        one_of: all("oneOf"),
        not: part(schema, "not"),
    }
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
