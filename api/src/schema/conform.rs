//! Makes an object fit its type, as decoding into upstream's Go structs does: unknown fields go (and are reported),
//! nulls go, quantities and times take their canonical form, and what has the wrong type is an error.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD as BASE64};
use serde_json::{Map, Value};

use super::mistyped::{TypeError, found};
use super::{Definition, Node, Schema, Type};
use crate::quantity::Quantity;
use crate::status::{json_type, start_of};
use crate::time;

/// What was found besides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conformed {
    /// Upstream's texts, e.g. `unknown field "spec.foo"`, in the order of sorted keys.
    pub unknown: Vec<String>,
}

const BASE64_AS_GO: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);
/// Upstream stops listing after this many.
const MAX_UNKNOWN: usize = 100;
/// What controllers say of an object. Go always writes these texts, even if empty, and clients with types insist on them.
const CONDITION: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Condition";
/// Whose `data` is raw JSON (`RawExtension`): the published type is an object, but Go's takes any value.
const REVISION: &str = "io.k8s.api.apps.v1.ControllerRevision";
/// Schemas, some fields of which have a schema or something else; the published type of these is anything.
const SCHEMA: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

impl Type<'_> {
    /// Makes the object fit this type.
    pub fn conform(self, object: &mut Value) -> Result<Conformed, TypeError> {
        let mut walk = Walk {
            schema: self.schema,
            path: Vec::new(),
            owner: "",
            unknown: Vec::new(),
        };
        if !object.is_object() {
            return Err(not_a(self.definition, object));
        }
        walk.fields(self.definition, object)?;
        Ok(Conformed {
            unknown: walk.unknown,
        })
    }
}

/// What a field of a schema may have besides a schema.
#[derive(Clone, Copy)]
enum Choice {
    /// A list of schemas.
    Array,
    /// True or false.
    Boolean,
    /// By name, schemas or lists of texts.
    Dependencies,
}

impl Choice {
    fn of(field: &str) -> Option<Self> {
        match field {
            "items" => Some(Self::Array),
            "additionalItems" | "additionalProperties" => Some(Self::Boolean),
            "dependencies" => Some(Self::Dependencies),
            _ => None,
        }
    }
}

enum Step {
    Field(String),
    Key(String),
    Index(usize),
}

struct Walk<'a> {
    schema: &'a Schema,
    path: Vec<Step>,
    /// Short name of the struct that the current field belongs to.
    owner: &'a str,
    unknown: Vec<String>,
}

impl<'a> Walk<'a> {
    fn fields(&mut self, definition: &'a Definition, value: &mut Value) -> Result<(), TypeError> {
        let Some(map) = value.as_object_mut() else {
            return Ok(());
        };
        let mut unknown = Vec::new();
        let mut null = Vec::new();
        for (name, value) in map.iter_mut() {
            let Some(field) = definition.field(name) else {
                if !definition.preserve_unknown {
                    self.unknown(name);
                    unknown.push(name.clone());
                }
                continue;
            };
            let choice = (definition.name == SCHEMA).then(|| Choice::of(name)).flatten();
            if value.is_null() {
                if field.node != Node::Any || choice.is_some() {
                    null.push(name.clone());
                }
                continue;
            }
            if definition.name == REVISION && name == "data" {
                continue;
            }
            self.path.push(Step::Field(name.clone()));
            let owner = std::mem::replace(&mut self.owner, definition.short_name());
            match choice {
                Some(choice) => self.choice(definition, choice, value)?,
                None => self.value(&field.node, value)?,
            }
            self.owner = owner;
            self.path.pop();
        }
        for name in unknown.iter().chain(&null) {
            map.remove(name);
        }
        if definition.name == CONDITION {
            for name in ["message", "reason"] {
                map.entry(name).or_insert_with(|| Value::from(""));
            }
        }
        Ok(())
    }

    /// A schema, or what may stand in its place (`UnmarshalJSON` of apiextensions/v1). What is neither is for validation to
    /// tell, as it is there, but for a number or text in the place of a boolean.
    fn choice(&mut self, schema: &'a Definition, choice: Choice, value: &mut Value) -> Result<(), TypeError> {
        // Decoders of types that have their own tell of no unknown fields.
        let known = self.unknown.len();
        match (value, choice) {
            (value @ Value::Object(_), Choice::Dependencies) => {
                for (name, value) in value.as_object_mut().into_iter().flatten() {
                    self.path.push(Step::Key(name.clone()));
                    self.fields(schema, value)?;
                    self.path.pop();
                }
            }
            (value @ Value::Object(_), _) => self.fields(schema, value)?,
            (Value::Array(items), Choice::Array) => {
                for (index, item) in items.iter_mut().enumerate() {
                    if item.is_null() {
                        *item = Value::Object(Map::new());
                    } else if !item.is_object() {
                        return Err(not_a(schema, item));
                    }
                    self.path.push(Step::Index(index));
                    self.fields(schema, item)?;
                    self.path.pop();
                }
            }
            (Value::Bool(_), Choice::Boolean) | (_, Choice::Array | Choice::Dependencies) => {}
            (_, Choice::Boolean) => {
                return Err(TypeError::alike("boolean or JSON schema expected".to_owned()));
            }
        }
        self.unknown.truncate(known);
        Ok(())
    }

    fn unknown(&mut self, name: &str) {
        if self.unknown.len() < MAX_UNKNOWN {
            let text = format!("unknown field \"{}\"", self.path_to(name));
            self.unknown.push(text);
        }
    }

    fn value(&mut self, node: &'a Node, value: &mut Value) -> Result<(), TypeError> {
        match node {
            Node::Any => Ok(()),
            Node::Struct(index) => {
                let Some(definition) = self.schema.definition(*index) else {
                    return Ok(());
                };
                if !value.is_object() {
                    return Err(self.wrong(value, node));
                }
                self.fields(definition, value)
            }
            Node::List(item) => {
                let Value::Array(items) = value else {
                    return Err(self.wrong(value, node));
                };
                for (index, value) in items.iter_mut().enumerate() {
                    if value.is_null() {
                        *value = zero(item);
                    }
                    self.path.push(Step::Index(index));
                    self.value(item, value)?;
                    self.path.pop();
                }
                Ok(())
            }
            Node::Map(inner) => {
                let Value::Object(map) = value else {
                    return Err(self.wrong(value, node));
                };
                for (name, value) in map.iter_mut() {
                    if value.is_null() {
                        *value = zero(inner);
                    }
                    self.path.push(Step::Key(name.clone()));
                    self.value(inner, value)?;
                    self.path.pop();
                }
                Ok(())
            }
            plain => self.plain(plain, value),
        }
    }

    fn plain(&self, node: &Node, value: &mut Value) -> Result<(), TypeError> {
        let fits = match node {
            Node::Object => value.is_object(),
            Node::String => value.is_string(),
            Node::Boolean => value.is_boolean(),
            Node::Number => value.is_number(),
            Node::Int32 => integer(value).is_some_and(|number| i32::try_from(number).is_ok()),
            Node::Int64 => integer(value).is_some(),
            Node::IntOrString => {
                value.is_string() || integer(value).is_some_and(|n| i32::try_from(n).is_ok())
            }
            Node::Bytes => return self.bytes(value),
            Node::Quantity => {
                if !value.is_string() && !value.is_number() {
                    return Err(TypeError::alike(
                        crate::quantity::QuantityError::Format.to_string(),
                    ));
                }
                let quantity =
                    Quantity::from_json(value).map_err(|error| TypeError::alike(error.to_string()))?;
                *value = Value::from(quantity.to_string());
                true
            }
            Node::Time => return self.time(value, |text| time::parse(text).map(time::format)),
            Node::MicroTime => {
                return self.time(value, |text| time::parse_micro(text).map(time::format_micro));
            }
            Node::Any | Node::Struct(_) | Node::List(_) | Node::Map(_) => true,
        };
        if !fits {
            return Err(self.wrong(value, node));
        }
        // 3.0 is an integer on the wire; keep it as one.
        if matches!(node, Node::Int32 | Node::Int64 | Node::IntOrString)
            && value.is_f64()
            && let Some(number) = integer(value)
        {
            *value = Value::from(number);
        }
        Ok(())
    }

    /// As Go's `encoding/base64` reads it: ends of lines are nothing, and the bits that are left over need not be zero. What
    /// is kept is written as Go would write it.
    fn bytes(&self, value: &mut Value) -> Result<(), TypeError> {
        let Some(text) = value.as_str() else {
            return Err(self.wrong(value, &Node::Bytes));
        };
        if BASE64.decode(text).is_ok() {
            return Ok(());
        }
        let letters = || {
            text.char_indices()
                .filter(|(_, letter)| !matches!(letter, '\r' | '\n'))
        };
        let joined: String = letters().map(|(_, letter)| letter).collect();
        match BASE64_AS_GO.decode(&joined) {
            Ok(bytes) => {
                *value = Value::from(BASE64.encode(bytes));
                Ok(())
            }
            Err(error) => {
                let at = match error {
                    base64::DecodeError::InvalidByte(at, _)
                    | base64::DecodeError::InvalidLastSymbol(at, _) => letters().nth(at),
                    _ => None,
                };
                let at = at.map_or(text.len(), |(at, _)| at);
                Err(TypeError::base64(format!(
                    "illegal base64 data at input byte {at}"
                )))
            }
        }
    }

    fn time(&self, value: &mut Value, canonical: impl Fn(&str) -> Option<String>) -> Result<(), TypeError> {
        // In a list or map this is no time, as Go writes it.
        if value.is_null() {
            return Ok(());
        }
        let Some(text) = value.as_str() else {
            return Err(self.wrong(value, &Node::Time));
        };
        let Some(canonical) = canonical(text) else {
            let text = crate::status::go_quote(text);
            return Err(TypeError::alike(format!(
                "parsing time {text} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text} as \"2006\""
            )));
        };
        *value = Value::from(canonical);
        Ok(())
    }

    /// Go's decoder tells the fields on the way, not the keys of maps and the places in lists.
    fn wrong(&self, value: &Value, node: &Node) -> TypeError {
        let mut path = String::new();
        for step in &self.path {
            if let Step::Field(name) = step {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
        }
        let text = format!(
            "json: cannot unmarshal {} into Go struct field {}.{path} of type {}",
            found(value, node),
            self.owner,
            self.go_type(node)
        );
        TypeError::new(text, value, node)
    }

    /// Of one that is very long, the start: a hundred fields may have a key of megabytes in common.
    fn path_to(&self, name: &str) -> String {
        start_of(std::fmt::from_fn(|f| {
            let mut dot = "";
            for step in &self.path {
                match step {
                    Step::Field(name) | Step::Key(name) => write!(f, "{dot}{name}")?,
                    Step::Index(index) => write!(f, "[{index}]")?,
                }
                dot = ".";
            }
            write!(f, "{dot}{name}")
        }))
    }

    fn go_type(&self, node: &Node) -> String {
        match node {
            Node::Any | Node::Object => "map[string]interface {}".to_owned(),
            Node::String | Node::Time | Node::MicroTime => "string".to_owned(),
            Node::Bytes => "[]uint8".to_owned(),
            Node::Boolean => "bool".to_owned(),
            Node::Int32 | Node::IntOrString => "int32".to_owned(),
            Node::Int64 => "int64".to_owned(),
            Node::Number => "float64".to_owned(),
            Node::Quantity => "resource.Quantity".to_owned(),
            Node::Struct(index) => self
                .schema
                .definition(*index)
                .map_or_else(String::new, |d| go_name(&d.name)),
            Node::List(item) => format!("[]{}", self.go_type(item)),
            Node::Map(inner) => format!("map[string]{}", self.go_type(inner)),
        }
    }
}

/// A value by itself that is no struct of that kind.
fn not_a(definition: &Definition, value: &Value) -> TypeError {
    let (found, name) = (json_type(value), go_name(&definition.name));
    TypeError::alike(format!(
        "json: cannot unmarshal {found} into Go value of type {name}"
    ))
}

/// `io.k8s.api.core.v1.Pod` as `v1.Pod`.
fn go_name(name: &str) -> String {
    let parts: Vec<&str> = name.rsplitn(3, '.').collect();
    match parts[..] {
        [kind, package, ..] => format!("{package}.{kind}"),
        _ => name.to_owned(),
    }
}

fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let float = value.as_f64()?;
        // Beyond 2^53 a float is no exact integer.
        (float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0).then_some(float as i64)
    })
}

/// What null means inside a list or map.
fn zero(node: &Node) -> Value {
    match node {
        Node::String | Node::Bytes => Value::from(""),
        Node::Boolean => Value::from(false),
        Node::Int32 | Node::Int64 | Node::Number | Node::IntOrString => Value::from(0),
        Node::Quantity => Value::from("0"),
        Node::List(_) => Value::Array(Vec::new()),
        Node::Struct(_) | Node::Map(_) | Node::Object => Value::Object(Map::new()),
        Node::Any | Node::Time | Node::MicroTime => Value::Null,
    }
}
