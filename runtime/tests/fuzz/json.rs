//! Changes to JSON that leave it JSON.

use serde_json::Value;

use crate::random::{NUMBERS, Random, WORDS};

/// Every place in a document.
pub fn places(value: &Value, path: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
    all.push(path.clone());
    let mut below = |key: String, value: &Value| {
        path.push(key);
        places(value, path, all);
        path.pop();
    };
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(n, item)| below(n.to_string(), item)),
        Value::Object(fields) => fields.iter().for_each(|(key, field)| below(key.clone(), field)),
        _ => {}
    }
}

pub fn at<'a>(value: &'a mut Value, path: &[String]) -> &'a mut Value {
    path.iter().fold(value, |value, key| match value {
        Value::Array(items) => &mut items[key.parse::<usize>().unwrap()],
        other => &mut other[key.as_str()],
    })
}

fn odd(random: &mut Random) -> Value {
    match random.below(9) {
        0 => Value::Null,
        1 => Value::Bool(random.once_in(2)),
        2 => (*random.pick(&NUMBERS)).into(),
        3 => (-(*random.pick(&NUMBERS) as i64)).into(),
        4 => 0.5.into(),
        5 => Value::Array(Vec::new()),
        6 => Value::Object(serde_json::Map::new()),
        7 => "x".repeat(1 << random.below(14)).into(),
        _ => (*random.pick(&WORDS)).into(),
    }
}

/// Changes a document in a few places; `others` lend parts.
pub fn mutate(random: &mut Random, document: &mut Value, others: &[Value]) {
    for _ in 0..=random.below(3) {
        let mut all = Vec::new();
        places(document, &mut Vec::new(), &mut all);
        let path = random.pick(&all).clone();
        let lent = {
            let other = random.pick(others);
            let mut theirs = Vec::new();
            places(other, &mut Vec::new(), &mut theirs);
            {
                let path: &Vec<String> = random.pick(&theirs);
                at(&mut other.clone(), path).clone()
            }
        };
        let place = at(document, &path);
        match random.below(6) {
            0 => *place = odd(random),
            1 => *place = lent,
            2 => match place {
                Value::Array(items) if !items.is_empty() => {
                    let item = random.pick(items).clone();
                    let times = *random.pick(&[1, 2, 200]);
                    items.extend(std::iter::repeat_n(item, times));
                    items.truncate(2000);
                }
                Value::String(text) => *text = format!("{text}{}", random.pick(&WORDS)),
                other => *other = odd(random),
            },
            3 => match place {
                Value::Object(fields) if !fields.is_empty() => {
                    let keys: Vec<String> = fields.keys().cloned().collect();
                    fields.remove(random.pick(&keys));
                }
                Value::Array(items) if !items.is_empty() => {
                    items.remove(random.below(items.len()));
                }
                other => *other = odd(random),
            },
            4 => match place {
                Value::Object(fields) => {
                    fields.insert((*random.pick(&WORDS)).to_owned(), lent);
                }
                Value::Array(items) => items.push(lent),
                Value::Number(number) => {
                    let by = *random.pick(&[1i64, -1, 1 << 32, 1 << 31]);
                    *place = number.as_i64().unwrap_or(0).wrapping_add(by).into();
                }
                other => *other = odd(random),
            },
            _ => {
                let inner = place.take();
                *place = Value::Array(vec![inner]);
            }
        }
    }
}

/// A changed document as text; one in eight is then changed without regard for its being JSON.
pub fn text(random: &mut Random, corpus: &[Value]) -> Vec<u8> {
    let mut document = random.pick(corpus).clone();
    mutate(random, &mut document, corpus);
    let mut text = document.to_string().into_bytes();
    if random.once_in(8) {
        crate::random::bytes(random, &mut text, &[]);
    }
    text
}

pub fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or(Value::Null)
}
