//! Protobuf bodies (`application/vnd.kubernetes.protobuf`), which kubectl 1.33 and typed Go clients send.
//!
//! [`wire`] reads the wire format; [`schema`] knows the messages' field numbers, from a table; here both make the JSON
//! that Go would have sent. Answers are always JSON, which these clients accept as their second choice.

mod schema;
mod wire;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keelson_api::time;
use serde_json::{Map, Value};

use schema::{Field, Message, Shape};
use wire::{Raw, Reader};

/// What begins every body (`runtime/serializer/protobuf`).
const MAGIC: &[u8] = b"k8s\0";
/// Deepest nesting of messages.
const DEEPEST: usize = 64;
/// Most values in one body; bounds what a small body can grow to.
const MOST_VALUES: usize = 1 << 20;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProtobufError {
    /// It does not begin as it must.
    #[error("provided data does not appear to be a protobuf message, expected prefix {MAGIC:?}")]
    Magic,
    /// It ends in the middle of something, or a number or text is malformed.
    #[error("unexpected EOF or malformed {0}")]
    Malformed(&'static str),
    /// The kind has no protobuf form here.
    #[error("no protobuf message is known for {0}")]
    Unknown(String),
    /// It is nested too deeply.
    #[error("exceeded max depth of {DEEPEST}")]
    Depth,
    /// It holds too many values.
    #[error("exceeded {MOST_VALUES} values")]
    Size,
}

/// Reads a body as JSON.
pub fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let body = body.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let (mut version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    let mut reader = Reader::new(body);
    // runtime.Unknown: 1 is the TypeMeta, 2 the object.
    while let Some((number, value)) = reader.next()? {
        match (number, value) {
            (1, Raw::Bytes(meta)) => {
                let mut meta = Reader::new(meta);
                while let Some((number, value)) = meta.next()? {
                    match (number, value) {
                        (1, value) => value.text()?.clone_into(&mut version),
                        (2, value) => value.text()?.clone_into(&mut kind),
                        _ => {}
                    }
                }
            }
            (2, Raw::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let message = schema::of_kind(&version, &kind)
        .ok_or_else(|| ProtobufError::Unknown(format!("{version}, Kind={kind}")))?;
    let mut decoder = Decoder { left: MOST_VALUES };
    let mut fields = Map::new();
    decoder.fields(&message, raw, &mut fields, 0)?;
    if !version.is_empty() {
        fields.insert("apiVersion".to_owned(), version.into());
        fields.insert("kind".to_owned(), kind.into());
    }
    Ok(Value::Object(fields))
}

struct Decoder {
    left: usize,
}

impl Decoder {
    fn fields(
        &mut self,
        message: &Message,
        bytes: &[u8],
        out: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        if depth > DEEPEST {
            return Err(ProtobufError::Depth);
        }
        let mut reader = Reader::new(bytes);
        while let Some((number, raw)) = reader.next()? {
            self.left = self.left.checked_sub(1).ok_or(ProtobufError::Size)?;
            let Some(field) = message.field(number) else {
                // Younger than the served version; an older server would not know it either.
                continue;
            };
            self.field(&field, &raw, out, depth)?;
        }
        Ok(())
    }

    fn field(
        &mut self,
        field: &Field<'_>,
        raw: &Raw<'_>,
        out: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        match &field.shape {
            Shape::One(kind) if field.name.is_empty() => {
                let message = schema::find(kind).ok_or_else(|| ProtobufError::Unknown((*kind).to_owned()))?;
                self.fields(&message, raw.bytes()?, out, depth + 1)
            }
            Shape::One(kind) => {
                let value = self.value(kind, raw, depth)?;
                let zero = match &value {
                    Value::Null => true,
                    Value::Bool(value) => !value && !field.pointer,
                    Value::Number(value) => value.as_i64() == Some(0) && !field.pointer,
                    Value::String(value) => value.is_empty() && !field.pointer,
                    _ => false,
                };
                if !zero {
                    out.insert(field.name.to_owned(), value);
                }
                Ok(())
            }
            Shape::List(kind) => {
                let list = out
                    .entry(field.name)
                    .or_insert_with(|| Value::Array(Vec::new()))
                    .as_array_mut();
                let Some(list) = list else { return Ok(()) };
                if *kind == "i" && matches!(raw, Raw::Bytes(_)) {
                    // Packed.
                    let mut reader = Reader::new(raw.bytes()?);
                    while let Some(number) = reader.varint_or_end()? {
                        self.left = self.left.checked_sub(1).ok_or(ProtobufError::Size)?;
                        list.push((number as i64).into());
                    }
                } else {
                    let value = self.value(kind, raw, depth)?;
                    list.push(value);
                }
                Ok(())
            }
            Shape::Map(kind) => {
                let (mut key, mut value) = (String::new(), None);
                let mut entry = Reader::new(raw.bytes()?);
                while let Some((number, raw)) = entry.next()? {
                    match number {
                        1 => raw.text()?.clone_into(&mut key),
                        2 => value = Some(self.value(kind, &raw, depth)?),
                        _ => {}
                    }
                }
                let value = match value {
                    Some(value) => value,
                    None => self.value(kind, &Raw::Bytes(&[]), depth)?,
                };
                if let Value::Object(map) = out.entry(field.name).or_insert_with(|| Value::Object(Map::new()))
                {
                    map.insert(key, value);
                }
                Ok(())
            }
        }
    }

    fn value(&mut self, kind: &str, raw: &Raw<'_>, depth: usize) -> Result<Value, ProtobufError> {
        Ok(match kind {
            "s" => raw.text()?.into(),
            "y" => STANDARD.encode(raw.bytes()?).into(),
            "b" => (raw.number()? != 0).into(),
            "i" => (raw.number()? as i64).into(),
            "d" => f64::from_bits(raw.number()?).into(),
            "meta.v1.Time" => time_of(raw, false)?,
            "meta.v1.MicroTime" => time_of(raw, true)?,
            "resource.Quantity" => {
                first(raw)?.map_or(Ok(Value::from("0")), |raw| raw.text().map(Value::from))?
            }
            "intstr.IntOrString" => int_or_string(raw)?,
            "runtime.RawExtension" | "meta.v1.FieldsV1" => match first(raw)? {
                Some(raw) => serde_json::from_slice(raw.bytes()?).unwrap_or(Value::Null),
                None => Value::Null,
            },
            // A list under a name of its own: the JSON form is the bare list.
            "authentication.v1.ExtraValue" | "authorization.v1.ExtraValue" | "certificates.v1.ExtraValue" => {
                let mut items = Vec::new();
                let mut reader = Reader::new(raw.bytes()?);
                while let Some((_, raw)) = reader.next()? {
                    items.push(Value::from(raw.text()?));
                }
                items.into()
            }
            kind => {
                let message = schema::find(kind).ok_or_else(|| ProtobufError::Unknown(kind.to_owned()))?;
                let mut fields = Map::new();
                self.fields(&message, raw.bytes()?, &mut fields, depth + 1)?;
                fields.into()
            }
        })
    }
}

/// The value of field 1.
fn first<'a>(raw: &Raw<'a>) -> Result<Option<Raw<'a>>, ProtobufError> {
    let mut reader = Reader::new(raw.bytes()?);
    while let Some((number, value)) = reader.next()? {
        if number == 1 {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Seconds and nanoseconds; an empty message is the zero time, which JSON writes as null.
fn time_of(raw: &Raw<'_>, micro: bool) -> Result<Value, ProtobufError> {
    let (mut seconds, mut nanos, mut set) = (0, 0, false);
    let mut reader = Reader::new(raw.bytes()?);
    while let Some((number, value)) = reader.next()? {
        match number {
            1 => (seconds, set) = (value.number()? as i64, true),
            2 => nanos = value.number()? as i64,
            _ => {}
        }
    }
    // Years 1 to 9999, beyond which there is no RFC 3339.
    let plausible = (-62_135_596_800..=253_402_300_799).contains(&seconds);
    Ok(match (set && plausible, micro) {
        (false, _) => Value::Null,
        (true, false) => time::format(seconds).into(),
        (true, true) => time::format_micro(seconds * 1_000_000 + nanos.clamp(0, 999_999_999) / 1000).into(),
    })
}

fn int_or_string(raw: &Raw<'_>) -> Result<Value, ProtobufError> {
    let (mut is_text, mut number, mut text) = (false, 0, "");
    let mut reader = Reader::new(raw.bytes()?);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => is_text = value.number()? == 1,
            2 => number = value.number()? as i64,
            3 => text = value.text()?,
            _ => {}
        }
    }
    Ok(if is_text { text.into() } else { number.into() })
}

#[cfg(test)]
mod tests;
