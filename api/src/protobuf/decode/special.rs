//! The types whose JSON is not that of their message.

use serde_json::Value;

use super::{DecodeError, Decoder};
use crate::protobuf::table::{self, Kind};
use crate::protobuf::wire::{Raw, Reader};
use crate::time;

/// Years 1 to 9999, beyond which there is no RFC 3339.
const YEARS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

impl Decoder {
    /// One value of such a type. Null says that there is none.
    pub(super) fn special(&mut self, kind: Kind, raw: &Raw<'_>, depth: usize) -> Result<Value, DecodeError> {
        let bytes = raw.bytes()?;
        match kind {
            Kind::Time => time_of(bytes, false),
            Kind::MicroTime => time_of(bytes, true),
            Kind::Quantity => quantity(bytes),
            Kind::IntOrString => int_or_string(bytes),
            Kind::Raw => json(bytes),
            Kind::Texts => self.texts(bytes, 1),
            Kind::SchemaOrList | Kind::SchemaOrBool | Kind::SchemaOrTexts => self.union(kind, bytes, depth),
            // The others are not special.
            _ => Ok(Value::Null),
        }
    }

    fn texts(&mut self, bytes: &[u8], of: u32) -> Result<Value, DecodeError> {
        let mut items = Vec::new();
        let mut reader = Reader::new(bytes);
        while let Some((number, raw)) = reader.field()? {
            self.count()?;
            if number == of {
                items.push(Value::from(raw.text()?));
            }
        }
        Ok(items.into())
    }

    /// A schema, or what else may stand in its place.
    fn union(&mut self, kind: Kind, bytes: &[u8], depth: usize) -> Result<Value, DecodeError> {
        let place = if kind == Kind::SchemaOrBool { 2 } else { 1 };
        let (mut schema, mut allows, mut list) = (None, None, Vec::new());
        let mut reader = Reader::new(bytes);
        while let Some((number, raw)) = reader.field()? {
            self.count()?;
            match (kind, number) {
                (_, number) if number == place => schema = Some(self.object(table::schema(), &raw, depth)?),
                (Kind::SchemaOrBool, 1) => allows = Some(raw.number()? != 0),
                (Kind::SchemaOrList, 2) => list.push(self.object(table::schema(), &raw, depth + 1)?),
                (Kind::SchemaOrTexts, 2) => list.push(raw.text()?.into()),
                _ => {}
            }
        }
        Ok(match (schema, kind) {
            (Some(schema), _) => schema,
            (None, Kind::SchemaOrBool) => allows.unwrap_or_default().into(),
            (None, _) if list.is_empty() => Value::Null,
            (None, _) => list.into(),
        })
    }
}

/// Seconds and nanoseconds; an empty message is the zero time, which JSON writes as null.
fn time_of(bytes: &[u8], micro: bool) -> Result<Value, DecodeError> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => seconds = value.number()? as i64,
            2 => nanos = value.number()? as i64,
            _ => {}
        }
    }
    Ok(if bytes.is_empty() || !YEARS.contains(&seconds) {
        Value::Null
    } else if micro {
        time::format_micro(seconds * 1_000_000 + nanos.clamp(0, 999_999_999) / 1000).into()
    } else {
        time::format(seconds).into()
    })
}

fn quantity(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut text = "0";
    while let Some((number, value)) = reader.field()? {
        if number == 1 {
            text = value.text()?;
        }
    }
    Ok(text.into())
}

fn int_or_string(bytes: &[u8]) -> Result<Value, DecodeError> {
    let (mut is_text, mut number, mut text) = (false, 0, "");
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.field()? {
        match field {
            1 => is_text = value.number()? == 1,
            2 => number = value.number()? as i64,
            3 => text = value.text()?,
            _ => {}
        }
    }
    Ok(if is_text { text.into() } else { number.into() })
}

/// JSON in field 1.
fn json(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut json = &b""[..];
    while let Some((number, value)) = reader.field()? {
        if number == 1 {
            json = value.bytes()?;
        }
    }
    if json.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(json).map_err(|_| DecodeError::Malformed("raw JSON"))
}
