//! What Go's libraries call and how they quote what upstream's messages show.

use std::fmt::Write;

use serde_json::Value;

/// The name of a JSON value's type in messages of `encoding/json`.
pub fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A JSON value as Go's `%v` prints what it decodes to. Floats keep JSON's form, which is another for whole and for large ones.
pub fn go_plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items = items.iter().map(go_plain);
            format!("[{}]", items.collect::<Vec<_>>().join(" "))
        }
        Value::Object(map) => {
            let entries = map
                .iter()
                .map(|(name, value)| format!("{name}:{}", go_plain(value)));
            format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

/// Quotes like Go's `%q`, which upstream's messages use.
pub fn go_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => drop(write!(out, "\\x{:02x}", c as u32)),
            c if c.is_control() || c == '\u{feff}' => drop(write!(out, "\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// JSON with the escapes of Go's `json.Marshal`. The five characters stand in texts only, so that it means the same.
pub fn go_json(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 16);
    let mut rest = json;
    while let [first, after @ ..] = rest {
        let (written, left): (&[u8], _) = match (first, after) {
            (b'<', _) => (b"\\u003c", after),
            (b'>', _) => (b"\\u003e", after),
            (b'&', _) => (b"\\u0026", after),
            (0xe2, [0x80, 0xa8, left @ ..]) => (b"\\u2028", left),
            (0xe2, [0x80, 0xa9, left @ ..]) => (b"\\u2029", left),
            _ => (std::slice::from_ref(first), after),
        };
        out.extend_from_slice(written);
        rest = left;
    }
    out
}
