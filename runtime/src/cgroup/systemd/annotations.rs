//! GVariant text (GLib's "GVariant Text Format"), as far as unit properties need it: booleans, numbers with and without a
//! type, quoted strings, arrays of strings.

use super::super::Error;
use super::message::Value;

/// A quoted string at the beginning, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| *c == '\'' || *c == '"')?;
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => out.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                c @ ('\\' | '\'' | '"') => c,
                _ => return None,
            }),
            c if c == quote => return Some((out, &text[at + 1..])),
            c => out.push(c),
        }
    }
    None
}

fn strings(text: &str) -> Option<Value> {
    let mut rest = text.strip_prefix('[')?.strip_suffix(']')?.trim();
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (item, after) = quoted(rest)?;
        all.push(item);
        rest = after.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
    Some(Value::Texts(all))
}

/// Reads a value; `None` if it is not one.
pub(super) fn parse(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Some((kind, number)) = text.split_once(' ') {
        let number = number.trim();
        let typed = match kind {
            "boolean" => return parse(number).filter(|v| matches!(v, Value::Bool(_))),
            "string" => return parse(number).filter(|v| matches!(v, Value::Text(_))),
            "int32" => number.parse().ok().map(Value::I32),
            "uint32" => number.parse().ok().map(Value::U32),
            "int64" => number.parse().ok().map(Value::I64),
            "uint64" => number.parse().ok().map(Value::U64),
            "double" => number.parse().ok().map(Value::F64),
            "@as" => return strings(number),
            _ => None,
        };
        if typed.is_some() {
            return typed;
        }
    }
    match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ if text.starts_with('[') => strings(text),
        _ if text.starts_with(['\'', '"']) => {
            quoted(text).and_then(|(value, rest)| rest.is_empty().then_some(Value::Text(value)))
        }
        _ => text
            .parse()
            .ok()
            .map(Value::I32)
            .or_else(|| text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::F64)),
    }
}

const MILLION: u64 = 1_000_000;

/// A property `...Sec` is `...USec` on the bus, in microseconds.
pub(super) fn in_microseconds(name: &str, value: Value) -> Result<(String, Value), Error> {
    let Some(stem) = name.strip_suffix("Sec").filter(|stem| !stem.ends_with('U')) else {
        return Ok((name.to_owned(), value));
    };
    let micros = match value {
        Value::I32(n) => u64::try_from(n).ok().and_then(|n| n.checked_mul(MILLION)),
        Value::U32(n) => Some(u64::from(n) * MILLION),
        Value::I64(n) => u64::try_from(n).ok().and_then(|n| n.checked_mul(MILLION)),
        Value::U64(n) => n.checked_mul(MILLION),
        Value::F64(n) if (0.0..1e12).contains(&n) => Some((n * 1e6) as u64),
        _ => None,
    };
    let micros = micros.ok_or_else(|| Error::Invalid(format!("{name}: not a number of seconds")))?;
    Ok((format!("{stem}USec"), Value::U64(micros)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let texts = |list: &[&str]| Value::Texts(list.iter().map(|t| (*t).to_owned()).collect());
        for (text, value) in [
            ("true", Value::Bool(true)),
            ("5", Value::I32(5)),
            ("uint64 18446744073709551615", Value::U64(u64::MAX)),
            ("int64 -5", Value::I64(-5)),
            ("1.5", Value::F64(1.5)),
            ("'it\\'s'", Value::Text("it's".to_owned())),
            ("[]", texts(&[])),
            ("@as ['a', 'b']", texts(&["a", "b"])),
            ("['a','b, c']", texts(&["a", "b, c"])),
        ] {
            assert_eq!(parse(text), Some(value), "{text}");
        }
        for bad in [
            "",
            "x",
            "'a",
            "'a'b",
            "[1]",
            "['a' 'b']",
            "uint32 -1",
            "uint64 x",
            "nan",
            "boolean 5",
            "'\\q'",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert!(in_microseconds("TimeoutStopSec", Value::Text("x".into())).is_err());
        assert!(in_microseconds("TimeoutStopSec", Value::I64(i64::MAX)).is_err());
        assert_eq!(
            in_microseconds("FooUSec", Value::U64(1)).unwrap(),
            ("FooUSec".to_owned(), Value::U64(1))
        );
    }
}
