//! A protobuf body as the JSON value that Go would have sent for it.

mod special;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::envelope;
use super::table::{self, Field, Kind, Message, Shape, Zero, of_kind};
use super::wire::{Raw, Reader};
use crate::depth::{MAX_DEPTH, MAX_STRUCTURES};

/// Most values in one body; bounds what a small body can grow to.
const MOST_VALUES: usize = 1 << 20;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// It does not begin as it must.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Magic,
    /// It ends in the middle of something, or a number or text is malformed.
    #[error("unexpected EOF or malformed {0}")]
    Malformed(&'static str),
    /// A field is written in another way than its type is.
    #[error("proto: wrong wireType for a {0}")]
    WireType(&'static str),
    /// The kind has no protobuf form here.
    #[error("no kind {kind:?} is registered for version {version:?}")]
    Unknown {
        /// The kind.
        kind: String,
        /// Its group and version.
        version: String,
    },
    /// It is nested too deeply.
    #[error("exceeded max depth of {MAX_DEPTH}")]
    Depth,
    /// It holds too many values.
    #[error("exceeded {MOST_VALUES} values, or {MAX_STRUCTURES} messages")]
    Size,
}

/// Reads a body. If it does not say what it is, it is of the expected version and kind.
pub fn decode(body: &[u8], expected: (&str, &str)) -> Result<Value, DecodeError> {
    let envelope = envelope::read(body)?;
    let or = |text, expected| if str::is_empty(text) { expected } else { text };
    let version = or(envelope.api_version, expected.0);
    let kind = or(envelope.kind, expected.1);
    let message = of_kind(version, kind).ok_or_else(|| DecodeError::Unknown {
        kind: kind.to_owned(),
        version: version.to_owned(),
    })?;
    let mut fields = Map::new();
    let mut decoder = Decoder {
        left: MOST_VALUES,
        messages: MAX_STRUCTURES,
    };
    decoder.fields(message, envelope.raw, &mut fields, 0)?;
    fields.insert("apiVersion".to_owned(), version.into());
    fields.insert("kind".to_owned(), kind.into());
    Ok(Value::Object(fields))
}

struct Decoder {
    left: usize,
    messages: usize,
}

impl Decoder {
    fn count(&mut self) -> Result<(), DecodeError> {
        self.left = self.left.checked_sub(1).ok_or(DecodeError::Size)?;
        Ok(())
    }

    fn fields(
        &mut self,
        message: &Message,
        bytes: &[u8],
        out: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError::Depth);
        }
        self.messages = self.messages.checked_sub(1).ok_or(DecodeError::Size)?;
        let mut reader = Reader::new(bytes);
        while let Some((number, raw)) = reader.field()? {
            self.count()?;
            if let Some(field) = message.numbered(number) {
                self.field(field, &raw, out, depth)?;
            } else if let Some((_, child)) = message.embedded.iter().find(|(own, _)| *own == number) {
                self.fields(table::message(*child), raw.bytes()?, out, depth + 1)?;
            }
            // Others are younger than the served version; an older server would not know them either.
        }
        Ok(())
    }

    fn field(
        &mut self,
        field: &Field,
        raw: &Raw<'_>,
        out: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let slot = |out: &mut Map<String, Value>| out.remove(field.name).unwrap_or_default();
        match (field.shape, field.kind) {
            (Shape::One, Kind::Message(child)) => {
                // Of a message that comes twice, the parts add up.
                let mut fields = match slot(out) {
                    Value::Object(fields) => fields,
                    _ => Map::new(),
                };
                self.fields(table::message(child), raw.bytes()?, &mut fields, depth + 1)?;
                out.insert(field.name.to_owned(), fields.into());
            }
            (Shape::One, kind) => {
                let value = self.value(kind, raw, depth)?;
                if value.is_null() || (field.zero == Zero::Absent && is_zero(kind, &value)) {
                    out.remove(field.name);
                } else {
                    out.insert(field.name.to_owned(), value);
                }
            }
            (Shape::List, kind) => {
                let mut list = match slot(out) {
                    Value::Array(list) => list,
                    _ => Vec::new(),
                };
                match raw {
                    Raw::Bytes(packed) if kind == Kind::Integer => {
                        let mut reader = Reader::new(packed);
                        while let Some(number) = reader.packed()? {
                            self.count()?;
                            list.push((number as i64).into());
                        }
                    }
                    raw => list.push(self.value(kind, raw, depth + 1)?),
                }
                // Not `list.into()`, which goes over the whole list each time.
                out.insert(field.name.to_owned(), Value::Array(list));
            }
            (Shape::Map, kind) => {
                let mut map = match slot(out) {
                    Value::Object(map) => map,
                    _ => Map::new(),
                };
                let (mut name, mut value) = (String::new(), None);
                let mut entry = Reader::new(raw.bytes()?);
                while let Some((number, raw)) = entry.field()? {
                    match number {
                        1 => raw.text()?.clone_into(&mut name),
                        2 => value = Some(self.value(kind, &raw, depth + 1)?),
                        _ => {}
                    }
                }
                let value = match value {
                    Some(value) => value,
                    None => self.value(kind, &zero(kind), depth + 1)?,
                };
                map.insert(name, value);
                out.insert(field.name.to_owned(), map.into());
            }
        }
        Ok(())
    }

    fn value(&mut self, kind: Kind, raw: &Raw<'_>, depth: usize) -> Result<Value, DecodeError> {
        Ok(match kind {
            Kind::Text => raw.text()?.into(),
            Kind::Bytes => STANDARD.encode(raw.bytes()?).into(),
            Kind::Bool => (raw.number()? != 0).into(),
            Kind::Integer => (raw.number()? as i64).into(),
            Kind::Double => double(raw.double()?),
            Kind::Message(child) => self.object(table::message(child), raw, depth)?,
            kind => self.special(kind, raw, depth)?,
        })
    }

    fn object(&mut self, message: &Message, raw: &Raw<'_>, depth: usize) -> Result<Value, DecodeError> {
        let mut fields = Map::new();
        self.fields(message, raw.bytes()?, &mut fields, depth + 1)?;
        Ok(fields.into())
    }
}

/// The zero on the wire of what a map entry lacks.
fn zero(kind: Kind) -> Raw<'static> {
    match kind {
        Kind::Bool | Kind::Integer => Raw::Varint(0),
        Kind::Double => Raw::Fixed64(0),
        _ => Raw::Bytes(b""),
    }
}

/// Whether it is what Go leaves out of JSON. Of structs, Go leaves out none: a `maxSurge` of 0 is one.
fn is_zero(kind: Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Bool, Value::Bool(value)) => !value,
        (Kind::Integer | Kind::Double, Value::Number(number)) => number.as_f64() == Some(0.0),
        (Kind::Text | Kind::Bytes, Value::String(text)) => text.is_empty(),
        _ => false,
    }
}

/// As Go writes it into JSON: 3, not 3.0.
fn double(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        (value as i64).into()
    } else {
        value.into()
    }
}
