//! The messages' fields, from `api/schema/v1_33.protobuf` (made by `api/gen/protobuf.py`), read on first use.
//!
//! A line is a message: its name, then `NUMBER:JSON-NAME:TYPE` for each field. A type is
//! - `s` text, `y` bytes, `b` bool, `i` integer, `d` double, or the name of a message;
//! - `t` Time, `m` MicroTime, `q` Quantity, `o` IntOrString: messages whose JSON is a scalar;
//! - `r` a message around raw JSON (RawExtension, FieldsV1, JSON); `l` one around a list of texts;
//! - `A`, `B`, `S`: JSONSchemaProps or a list of them, or a bool, or a list of texts.
//!
//! `[` before it makes a list, `{` a map by text. After a scalar, `*` is a Go pointer, whose zero says something, and `!` a
//! value that Go writes into JSON even if it is zero. An empty name is an embedded struct: a message of its own in
//! protobuf, fields of its parent in JSON.

use std::collections::HashMap;
use std::sync::LazyLock;

const TABLE: &str = include_str!("../../schema/v1_33.protobuf");
/// Where there is no field.
const NONE: u16 = u16::MAX;

/// A message: the protobuf form of a type.
#[derive(Debug)]
pub struct Message {
    name: &'static str,
    /// Sorted by name; those of embedded messages are among them.
    fields: Box<[Field]>,
    /// Own fields by number.
    numbers: Box<[u16]>,
    /// Embedded messages.
    pub(super) embedded: Box<[(u32, u16)]>,
}

/// A field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// JSON name.
    pub name: &'static str,
    /// Number, in the message that it belongs to.
    pub number: u32,
    /// One, list or map.
    pub shape: Shape,
    /// Type.
    pub kind: Kind,
    /// What a zero means.
    pub zero: Zero,
    /// The embedded message that it belongs to: an index, plus one; 0 for none.
    pub inside: u8,
}

/// How many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One value.
    One,
    /// A list.
    List,
    /// A map by text.
    Map,
}

/// A type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// Bytes, base64 in JSON.
    Bytes,
    /// True or false.
    Bool,
    /// An integer of 32 or 64 bits.
    Integer,
    /// Floating point.
    Double,
    /// `meta.v1.Time`.
    Time,
    /// `meta.v1.MicroTime`.
    MicroTime,
    /// `resource.Quantity`.
    Quantity,
    /// `intstr.IntOrString`.
    IntOrString,
    /// JSON as bytes in a message.
    Raw,
    /// Texts in a message.
    Texts,
    /// `JSONSchemaPropsOrArray`.
    SchemaOrList,
    /// `JSONSchemaPropsOrBool`.
    SchemaOrBool,
    /// `JSONSchemaPropsOrStringArray`.
    SchemaOrTexts,
    /// A message: its index.
    Message(u16),
}

/// What the zero of a scalar means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zero {
    /// As if it were absent.
    Absent,
    /// Something, or JSON has it anyhow.
    Kept,
}

static MESSAGES: LazyLock<Box<[Message]>> = LazyLock::new(read);
/// The type of schemas, for the union types.
static SCHEMA: LazyLock<&'static Message> =
    LazyLock::new(|| find("apiextensions.v1.JSONSchemaProps").unwrap_or(&MESSAGES[0]));

/// The message of that name, e.g. `core.v1.Pod`.
pub fn find(name: &str) -> Option<&'static Message> {
    let at = MESSAGES.binary_search_by(|message| message.name.cmp(name)).ok()?;
    MESSAGES.get(at)
}

/// The message of that index.
pub(super) fn message(index: u16) -> &'static Message {
    // Indexes are made by `read` from the messages' own positions.
    &MESSAGES[usize::from(index)]
}

/// `JSONSchemaProps`.
pub(super) fn schema() -> &'static Message {
    &SCHEMA
}

/// The message of a kind, or of its list; `api_version` is `v1` or `apps/v1`. Kinds that every group has, such as
/// `DeleteOptions`, are found in any.
pub fn of_kind(api_version: &str, kind: &str) -> Option<&'static Message> {
    let (group, version) = api_version.split_once('/').unwrap_or(("core", api_version));
    let group = group.split('.').next().unwrap_or_default();
    find(&format!("{group}.{version}.{kind}")).or_else(|| find(&format!("meta.v1.{kind}")))
}

impl Message {
    /// Group, version and name, e.g. `core.v1.Pod`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The field of that JSON name. `from` is where the last one was found: names mostly come in order.
    pub(super) fn named(&self, name: &[u8], from: &mut usize) -> Option<&Field> {
        let is_it = |field: &&Field| field.name.as_bytes() == name;
        let start = (*from).min(self.fields.len());
        let (before, after) = self.fields.split_at(start);
        if let Some(at) = after.iter().position(|field| is_it(&field)) {
            *from = start + at + 1;
            return after.get(at);
        }
        let at = before.iter().position(|field| is_it(&field))?;
        *from = at + 1;
        before.get(at)
    }

    /// The field of that number, of the message itself.
    pub(super) fn numbered(&self, number: u32) -> Option<&Field> {
        let at = *self.numbers.get(number as usize)?;
        self.fields.get(usize::from(at))
    }

    /// All fields.
    #[cfg(test)]
    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }
}

/// All messages.
#[cfg(test)]
pub(super) fn all() -> &'static [Message] {
    &MESSAGES
}

/// The table is part of the program: a field that cannot be read is left out here, and a test finds it.
fn read() -> Box<[Message]> {
    let lines = || {
        TABLE.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (name, fields) = line.split_once(' ').unwrap_or((line, ""));
            (name, fields.split(' ').filter_map(parts))
        })
    };
    let indexes: HashMap<&str, u16> = lines().map(|(name, _)| name).zip(0..).collect();
    let kind_of = |text: &'static str| match text.as_bytes() {
        [single] => scalar(*single),
        _ => indexes.get(text).map(|index| Kind::Message(*index)),
    };
    let own: Vec<Vec<Field>> = lines()
        .map(|(_, fields)| {
            fields
                .filter_map(|(number, name, shape, text, zero)| {
                    Some(Field {
                        name,
                        number,
                        shape,
                        kind: kind_of(text)?,
                        zero,
                        inside: 0,
                    })
                })
                .collect()
        })
        .collect();
    lines()
        .zip(&own)
        .map(|((name, _), fields)| {
            let mut all = Vec::new();
            let mut embedded = Vec::new();
            for field in fields {
                match field.kind {
                    Kind::Message(child) if field.name.is_empty() => {
                        embedded.push((field.number, child));
                        inline(&own, child, embedded.len() as u8, &mut all);
                    }
                    _ => all.push(*field),
                }
            }
            all.sort_by_key(|field| field.name);
            let mut numbers = Vec::new();
            for (at, field) in all.iter().enumerate().filter(|(_, field)| field.inside == 0) {
                let number = field.number as usize;
                numbers.resize(numbers.len().max(number + 1), NONE);
                numbers[number] = at as u16;
            }
            Message {
                name,
                fields: all.into(),
                numbers: numbers.into(),
                embedded: embedded.into(),
            }
        })
        .collect()
}

/// Adds the fields of an embedded message and of those that are embedded in it.
fn inline(own: &[Vec<Field>], child: u16, inside: u8, all: &mut Vec<Field>) {
    for field in own.get(usize::from(child)).into_iter().flatten() {
        match field.kind {
            Kind::Message(child) if field.name.is_empty() => inline(own, child, inside, all),
            _ => all.push(Field { inside, ..*field }),
        }
    }
}

/// `NUMBER:NAME:TYPE` in its parts.
fn parts(field: &'static str) -> Option<(u32, &'static str, Shape, &'static str, Zero)> {
    let mut parts = field.splitn(3, ':');
    let (number, name, kind) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
    let (shape, kind) = match kind.split_at_checked(1)? {
        ("[", kind) => (Shape::List, kind),
        ("{", kind) => (Shape::Map, kind),
        _ => (Shape::One, kind),
    };
    let bare = kind.trim_end_matches(['*', '!']);
    let zero = if bare == kind { Zero::Absent } else { Zero::Kept };
    Some((number, name, shape, bare, zero))
}

fn scalar(code: u8) -> Option<Kind> {
    Some(match code {
        b's' => Kind::Text,
        b'y' => Kind::Bytes,
        b'b' => Kind::Bool,
        b'i' => Kind::Integer,
        b'd' => Kind::Double,
        b't' => Kind::Time,
        b'm' => Kind::MicroTime,
        b'q' => Kind::Quantity,
        b'o' => Kind::IntOrString,
        b'r' => Kind::Raw,
        b'l' => Kind::Texts,
        b'A' => Kind::SchemaOrList,
        b'B' => Kind::SchemaOrBool,
        b'S' => Kind::SchemaOrTexts,
        _ => return None,
    })
}
