//! An object's JSON bytes as a protobuf message, in one pass.
//!
//! What the table does not know is left out, as is a value of another type than the table says: objects have been made to
//! fit their type before they were stored, and one that does not must not take a whole list with it.

mod scan;
mod special;

use super::table::{self, Field, Kind, Message, Shape};
use super::wire::{close, open, put_bytes, put_double, put_number};
use scan::Scanner;

/// Deepest nesting of messages; `serde_json` reads no more levels back, so nothing stored has them.
const DEEPEST: usize = 128;

/// Why JSON could not be written as protobuf.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum EncodeError {
    /// It is not JSON; where.
    #[error("no valid JSON at byte {0}")]
    Json(usize),
    /// It is nested too deeply.
    #[error("nested deeper than {DEEPEST} messages")]
    Depth,
}

/// Appends the message made from an object's JSON. After an error, nothing has been appended.
pub fn encode(message: &Message, json: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    let mut encoder = Encoder {
        json: Scanner::new(json),
        out,
        depth: 0,
    };
    let encoded = encoder.whole(message);
    if encoded.is_err() {
        out.truncate(start);
    }
    encoded
}

struct Encoder<'a> {
    json: Scanner<'a>,
    out: &'a mut Vec<u8>,
    depth: usize,
}

impl Encoder<'_> {
    fn whole(&mut self, message: &Message) -> Result<(), EncodeError> {
        self.json.space();
        self.message(message)?;
        self.json.end()
    }

    /// The fields of an object.
    fn message(&mut self, message: &Message) -> Result<(), EncodeError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(EncodeError::Depth);
        }
        let start = self.json.position();
        let (mut from, mut embedded) = (0, 0_u32);
        let mut members = self.json.object()?;
        while let Some(name) = self.json.member(&mut members)? {
            match message.named(name.raw(), &mut from) {
                Some(field) if field.inside == 0 => self.field(field)?,
                Some(field) => {
                    embedded |= 1 << (field.inside - 1);
                    self.json.skip()?;
                }
                None => self.json.skip()?,
            }
        }
        // Embedded messages are written by going over the same object again, which few and small ones have.
        let end = self.json.position();
        for (at, (number, child)) in message.embedded.iter().enumerate() {
            if embedded >> at & 1 == 1 {
                self.json.rewind(start);
                let mark = open(self.out, *number);
                self.message(table::message(*child))?;
                close(self.out, mark);
            }
        }
        self.json.rewind(end);
        self.depth -= 1;
        Ok(())
    }

    fn field(&mut self, field: &Field) -> Result<(), EncodeError> {
        match (field.shape, self.json.peek()) {
            (Shape::One, _) => self.value(field.number, field.kind, false),
            (Shape::List, b'[') => {
                let mut items = self.json.array()?;
                while self.json.item(&mut items)? {
                    self.value(field.number, field.kind, true)?;
                }
                Ok(())
            }
            (Shape::Map, b'{') => {
                let mut members = self.json.object()?;
                while let Some(name) = self.json.member(&mut members)? {
                    let mark = open(self.out, field.number);
                    put_bytes(self.out, 1, &name.text()?);
                    self.value(2, field.kind, true)?;
                    close(self.out, mark);
                }
                Ok(())
            }
            _ => self.json.skip(),
        }
    }

    /// One value. In a list or map (`counts`), null is the type's zero; elsewhere it is nothing.
    fn value(&mut self, number: u32, kind: Kind, counts: bool) -> Result<(), EncodeError> {
        match (kind, self.json.peek()) {
            (_, b'n') => {
                self.json.skip()?;
                match kind {
                    _ if !counts => {}
                    Kind::Integer | Kind::Bool => put_number(self.out, number, 0),
                    Kind::Double => put_double(self.out, number, 0.0),
                    _ => put_bytes(self.out, number, b""),
                }
                Ok(())
            }
            (Kind::Text, b'"') => {
                let text = self.json.string()?.text()?;
                put_bytes(self.out, number, &text);
                Ok(())
            }
            (Kind::Message(child), b'{') => {
                let mark = open(self.out, number);
                self.message(table::message(child))?;
                close(self.out, mark);
                Ok(())
            }
            (Kind::Bool, b't' | b'f') => {
                put_number(self.out, number, u64::from(self.json.peek() == b't'));
                self.json.skip()
            }
            (Kind::Integer, b'-' | b'0'..=b'9') => {
                if let Some(value) = self.integer()? {
                    put_number(self.out, number, value as u64);
                }
                Ok(())
            }
            (Kind::Double, b'-' | b'0'..=b'9') => {
                let text = self.json.number()?;
                if let Ok(value) = text.parse() {
                    put_double(self.out, number, value);
                }
                Ok(())
            }
            (Kind::Text | Kind::Message(_) | Kind::Bool | Kind::Integer | Kind::Double, _) => {
                self.json.skip()
            }
            (kind, first) => self.special(number, kind, first),
        }
    }

    /// An integer, also one written like 3.0; `None` if it is none.
    fn integer(&mut self) -> Result<Option<i64>, EncodeError> {
        let text = self.json.number()?;
        if let Ok(value) = text.parse() {
            return Ok(Some(value));
        }
        let float: Option<f64> = text.parse().ok();
        // Beyond 2^53 a float is no exact integer.
        Ok(float
            .filter(|float| float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0)
            .map(|float| float as i64))
    }
}
