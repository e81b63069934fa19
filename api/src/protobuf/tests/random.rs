//! Random objects of every kind, made by their schema, are the same after a way there and back.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{back, body};
use crate::protobuf::drop_zeros;
use crate::protobuf::table::{self, Field, Kind, Message, Shape, Zero};
use crate::schema::{Node, Schema};
use crate::time;

/// A source of choices (xorshift64).
struct Dice {
    state: u64,
    /// Whether there may be zeros, empty lists and empty maps that say nothing.
    zeros: bool,
}

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % sides
    }

    fn text(&mut self) -> String {
        let pieces = [
            "a",
            "\"",
            "\\",
            "/",
            "\u{0}",
            "é",
            "\u{1f600}",
            "\u{7f}",
            "x/y",
            "0",
        ];
        (0..=self.roll(3))
            .map(|_| pieces[self.roll(pieces.len() as u64) as usize])
            .collect()
    }

    fn integer(&mut self, small: bool) -> i64 {
        let bits = self.roll(if small { 31 } else { 63 });
        let number = self.roll(u64::MAX) as i64 & ((1 << bits) - 1) | 1;
        if self.roll(4) == 0 { -number } else { number }
    }

    fn any(&mut self) -> Value {
        match self.roll(5) {
            0 => json!({"a": [null, {"b\"": 1.5}], "c": {}}),
            1 => json!(["x", false]),
            2 => json!("t\\"),
            3 => json!(-7),
            _ => json!(true),
        }
    }
}

fn object(dice: &mut Dice, schema: &Schema, name: &str, message: &Message, depth: u64) -> Map<String, Value> {
    let definition = schema.named(name).unwrap().definition();
    let mut out = Map::new();
    for field in &definition.fields {
        let Some(known) = message.named(field.name.as_bytes(), &mut 0) else {
            continue; // apiVersion and kind
        };
        if dice.roll(depth + 2) < depth {
            continue;
        }
        out.insert(
            field.name.to_string(),
            value(dice, schema, &field.node, known, known.shape, depth + 1),
        );
    }
    out
}

fn value(dice: &mut Dice, schema: &Schema, node: &Node, field: &Field, shape: Shape, depth: u64) -> Value {
    // A zero comes back where it means something: in lists, in maps, and in some fields.
    let zero = (dice.zeros || shape != field.shape || field.zero == Zero::Kept) && dice.roll(3) == 0;
    let least = u64::from(!dice.zeros);
    match node {
        Node::List(item) if shape == Shape::List => (0..least + dice.roll(2))
            .map(|_| value(dice, schema, item, field, Shape::One, depth))
            .collect(),
        Node::Map(inner) if shape == Shape::Map => (0..least + dice.roll(2))
            .map(|_| (dice.text(), value(dice, schema, inner, field, Shape::One, depth)))
            .collect::<Map<_, _>>()
            .into(),
        Node::Map(_) => panic!("a map in a list or map"),
        Node::List(_) => (0..=dice.roll(2)).map(|_| Value::from(dice.text())).collect(),
        Node::Struct(index) => {
            let name = &schema.definition(*index).unwrap().name;
            let Kind::Message(message) = field.kind else {
                panic!("{name}")
            };
            object(dice, schema, name, table::message(message), depth).into()
        }
        Node::String if zero => "".into(),
        Node::Boolean if zero => false.into(),
        Node::Int32 | Node::Int64 | Node::Number if zero => 0.into(),
        Node::Bytes => ["AP8=", "eA=="][dice.roll(2) as usize].into(),
        Node::Boolean => true.into(),
        Node::Int32 => dice.integer(true).into(),
        Node::Int64 => dice.integer(false).into(),
        Node::Number => (dice.integer(true) as f64 + 0.25).into(),
        Node::Quantity => ["1", "100m", "-3Gi", "1e3"][dice.roll(4) as usize].into(),
        Node::Time => time::format(dice.integer(true) * 30).into(),
        Node::MicroTime => time::format_micro(dice.integer(false) % 10_000_000_000_000_000).into(),
        Node::IntOrString if dice.roll(2) == 0 => dice.integer(true).into(),
        Node::String | Node::IntOrString => dice.text().into(),
        Node::Any | Node::Object => match field.kind {
            Kind::SchemaOrBool if dice.roll(2) == 0 => (dice.roll(2) == 0).into(),
            Kind::SchemaOrTexts if dice.roll(2) == 0 => json!(["a", ""]),
            Kind::SchemaOrList if dice.roll(2) == 0 => json!([{"type": "x"}, {}]),
            Kind::SchemaOrBool | Kind::SchemaOrTexts | Kind::SchemaOrList => json!({"type": "y"}),
            Kind::Message(_) => json!({}),
            _ => dice.any(),
        },
    }
}

/// Names, versions and kinds of all kinds.
fn kinds() -> Vec<(&'static str, String, String)> {
    crate::schema::TYPES
        .lines()
        .filter(|line| !line.starts_with([' ', '#']))
        .filter_map(|line| {
            let mut words = line.split(' ');
            let name = words.next()?;
            let (version, kind) = words.next()?.strip_prefix('@')?.rsplit_once('/')?;
            Some((name, version.to_owned(), kind.to_owned()))
        })
        .collect()
}

/// An object of every kind, with its message.
fn objects(mut dice: Dice) -> impl Iterator<Item = (&'static Message, Map<String, Value>)> {
    kinds().into_iter().map(move |(name, version, kind)| {
        let message = table::of_kind(&version, &kind).unwrap();
        let mut fields = object(&mut dice, Schema::builtin(), name, message, 1);
        fields.insert("apiVersion".to_owned(), version.into());
        fields.insert("kind".to_owned(), kind.into());
        (message, fields)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_objects_come_back(state in 1_u64..) {
        for (_, fields) in objects(Dice { state, zeros: false }) {
            let object = Value::Object(fields);
            prop_assert_eq!(back(&body(&object)), object);
        }
    }

    #[test]
    fn zeros_are_dropped_that_do_not_come_back(state in 1_u64..) {
        for (message, mut fields) in objects(Dice { state, zeros: true }) {
            let sent = body(&Value::Object(fields.clone()));
            drop_zeros(message, &mut fields);
            prop_assert_eq!(back(&sent), Value::Object(fields));
        }
    }
}
