//! Mistakes of a document in the order in which Go's decoder meets them.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Unknown and repeated fields of a JSON document whose type is known, in the document's order, as Go's decoder tells them:
/// it looks whether a field is known before it looks whether it was there before, so that what is unknown and there twice
/// is unknown only. Both lists are of upstream's texts: `unknown field "spec.foo"`, `duplicate field "spec.replicas"`.
pub fn in_document_order(bytes: &[u8], duplicates: Vec<String>, unknown: Vec<String>) -> Vec<String> {
    let mut mistakes: Vec<Mistake> = unknown.into_iter().map(|text| Mistake::new(text, 1)).collect();
    for duplicate in duplicates.into_iter().map(|text| Mistake::new(text, 2)) {
        if !mistakes.iter().any(|known| known.path() == duplicate.path()) {
            mistakes.push(duplicate);
        }
    }
    if mistakes.len() > 1 {
        mistakes.sort_by(|one, other| one.path().cmp(other.path()));
        let beneath = Beneath {
            mistakes: &mistakes,
            at: 0,
            fields: &Cell::new(0),
        };
        // Who calls has read it before, so this does not fail; what it did not meet would stand first.
        let _ = beneath.deserialize(&mut serde_json::Deserializer::from_slice(bytes));
        mistakes.sort_by_key(|mistake| mistake.met.get());
    }
    mistakes.into_iter().map(|mistake| mistake.text).collect()
}

/// One mistake.
struct Mistake {
    text: String,
    /// How often its field must still be met until it is one.
    times: Cell<u8>,
    /// How many fields were met until then.
    met: Cell<usize>,
}

impl Mistake {
    fn new(text: String, times: u8) -> Self {
        let (times, met) = (Cell::new(times), Cell::new(0));
        Self { text, times, met }
    }

    /// What stands between quotes.
    fn path(&self) -> &str {
        let path = self.text.split_once('"').map_or("", |(_, path)| path);
        path.strip_suffix('"').unwrap_or(path)
    }
}

/// The mistakes in a value of the document: their paths have its path, of `at` bytes, in common, and are sorted.
#[derive(Clone, Copy)]
struct Beneath<'a> {
    mistakes: &'a [Mistake],
    at: usize,
    /// How many fields were met.
    fields: &'a Cell<usize>,
}

impl Beneath<'_> {
    /// Those whose paths go on with this step.
    fn step(self, step: &str) -> Self {
        let (at, step) = (self.at, step.as_bytes());
        let start = self
            .mistakes
            .partition_point(|mistake| &mistake.path().as_bytes()[at..] < step);
        let mistakes = &self.mistakes[start..];
        let end = mistakes.partition_point(|mistake| mistake.path().as_bytes()[at..].starts_with(step));
        Self {
            mistakes: &mistakes[..end],
            at: self.at + step.len(),
            ..self
        }
    }

    /// Those of a field, which has been met.
    fn field(self, name: &str) -> Self {
        self.fields.set(self.fields.get() + 1);
        let beneath = if self.at == 0 { self } else { self.step(".") };
        let beneath = beneath.step(name);
        for mistake in beneath.mistakes {
            if mistake.path().len() != beneath.at {
                continue;
            }
            match mistake.times.get() {
                0 => {}
                1 => {
                    mistake.times.set(0);
                    mistake.met.set(self.fields.get());
                }
                more => mistake.times.set(more - 1),
            }
        }
        beneath
    }
}

impl<'de> DeserializeSeed<'de> for Beneath<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.mistakes.is_empty() {
            deserializer.deserialize_ignored_any(IgnoredAny).map(drop)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Beneath<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            if items
                .next_element_seed(self.step(&format!("[{index}]")))?
                .is_none()
            {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            fields.next_value_seed(self.field(&name))?;
        }
        Ok(())
    }
}
