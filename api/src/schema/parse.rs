//! Reads JSON into a `Value` and notices fields that appear twice, which `serde_json` alone lets pass.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::depth::MAX_STRUCTURES;
use crate::status::start_of;

/// JSON that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The value; of a repeated field, the last one.
    pub value: Value,
    /// Upstream's texts, e.g. `duplicate field "spec.replicas"`.
    pub duplicates: Vec<String>,
}

/// Not JSON.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct ParseError {
    #[from]
    source: serde_json::Error,
}

/// Reads one JSON value. Nesting is limited to 128 levels and the number of lists and objects to [`MAX_STRUCTURES`], as a
/// defence.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let state = State::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Seed(&state).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Parsed {
        value,
        duplicates: state.duplicates.into_inner(),
    })
}

/// Reads a value of another notation. What could be far larger than its text (YAML's aliases) is given up once it has
/// more than `most` values and bytes of text.
pub fn parse_from<'de, D: Deserializer<'de>>(deserializer: D, most: usize) -> Result<Parsed, D::Error> {
    let state = State {
        left: Cell::new(most),
        ..State::default()
    };
    let value = Seed(&state).deserialize(deserializer)?;
    Ok(Parsed {
        value,
        duplicates: state.duplicates.into_inner(),
    })
}

#[derive(Debug)]
enum Step {
    Field(String),
    Index(usize),
}

#[derive(Debug)]
struct State {
    path: RefCell<Vec<Step>>,
    duplicates: RefCell<Vec<String>>,
    /// How much more may come.
    left: Cell<usize>,
    /// How many more lists and objects may come.
    structures: Cell<usize>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            path: RefCell::default(),
            duplicates: RefCell::default(),
            left: Cell::new(usize::MAX),
            structures: Cell::new(MAX_STRUCTURES),
        }
    }
}

/// Upstream stops listing after this many.
const MAX_DUPLICATES: usize = 100;

impl State {
    fn count<E: Error>(&self, size: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(size + 1);
        self.left
            .set(left.ok_or_else(|| E::custom("the document is too large"))?);
        Ok(())
    }

    fn structure<E: Error>(&self) -> Result<(), E> {
        let left = self.structures.get().checked_sub(1).ok_or_else(|| {
            E::custom(format_args!(
                "the document has more than {MAX_STRUCTURES} lists and objects"
            ))
        })?;
        self.structures.set(left);
        Ok(())
    }

    fn duplicate(&self, name: &str) {
        let mut duplicates = self.duplicates.borrow_mut();
        if duplicates.len() >= MAX_DUPLICATES {
            return;
        }
        let text = start_of(std::fmt::from_fn(|f| {
            let mut dot = "";
            for step in self.path.borrow().iter() {
                match step {
                    Step::Field(name) => write!(f, "{dot}{name}")?,
                    Step::Index(index) => write!(f, "[{index}]")?,
                }
                dot = ".";
            }
            write!(f, "{dot}{name}")
        }));
        let text = format!("duplicate field \"{text}\"");
        if !duplicates.contains(&text) {
            duplicates.push(text);
        }
    }
}

#[derive(Clone, Copy)]
struct Seed<'a>(&'a State);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.count(0)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.0.count(value.len())?;
        Ok(Value::from(value))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        self.0.count(value.len())?;
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    /// YAML's empty document.
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.0.structure()?;
        let mut items = Vec::new();
        loop {
            self.0.path.borrow_mut().push(Step::Index(items.len()));
            let item = access.next_element_seed(self)?;
            self.0.path.borrow_mut().pop();
            match item {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.0.structure()?;
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            self.0.count(name.len())?;
            if map.contains_key(&name) {
                self.0.duplicate(&name);
            }
            self.0.path.borrow_mut().push(Step::Field(name.clone()));
            let value = access.next_value_seed(self)?;
            self.0.path.borrow_mut().pop();
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}
