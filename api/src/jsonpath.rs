//! JSONPath as `kubectl` and printer columns write it (`k8s.io/client-go/util/jsonpath`), as much of it as chooses
//! values: fields, `['quoted.fields']`, indexes and slices, `*`, `..`, and filters `[?(@.type=="Ready")]`.

use serde_json::Value;

/// Most values that one step may come to, and most steps: bounds what a hostile path costs.
const MOST: usize = 10_000;

/// A path.
#[derive(Debug, Clone, PartialEq)]
pub struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    All,
    Deep,
    Slice(Option<i64>, Option<i64>, usize),
    Filter(Vec<Step>, Option<(Comparison, Operand)>),
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Value(Value),
    Path(Vec<Step>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Different,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PathError(String);

impl Path {
    /// Reads a path such as `.spec.replicas`.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut rest = text.trim();
        rest = rest.strip_prefix('$').unwrap_or(rest);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if steps.len() >= 100 {
                return Err(PathError("the path is too long".to_owned()));
            }
            rest = step(rest, &mut steps)?;
        }
        Ok(Self(steps))
    }

    /// The path of plain fields, such as `.spec.replicas`, if it is one.
    pub fn fields(&self) -> Option<Vec<&str>> {
        self.0
            .iter()
            .map(|step| match step {
                Step::Field(name) => Some(name.as_str()),
                _ => None,
            })
            .collect()
    }

    /// The values that it chooses.
    pub fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        find(&self.0, value)
    }
}

fn bad(text: &str) -> PathError {
    PathError(format!("unrecognized path at {text:?}"))
}

/// Reads one step; what follows it is returned.
fn step<'a>(text: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, PathError> {
    if let Some(rest) = text.strip_prefix("..") {
        steps.push(Step::Deep);
        return if rest.starts_with('[') {
            Ok(rest)
        } else {
            name(rest, steps)
        };
    }
    if let Some(rest) = text.strip_prefix('.') {
        // `.[0]` is the same as `[0]`, and `.` alone is the object.
        return if rest.is_empty() || rest.starts_with('[') {
            Ok(rest)
        } else {
            name(rest, steps)
        };
    }
    match text.strip_prefix('[') {
        Some(rest) => bracket(rest, steps),
        None => name(text, steps),
    }
}

fn name<'a>(text: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, PathError> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    let mut end = text.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, escaped)) => name.push(escaped),
                None => return Err(bad(text)),
            },
            '.' | '[' => {
                end = at;
                break;
            }
            '(' | ')' | ']' | '?' | '@' | '{' | '}' | ' ' | '=' | '!' | '<' | '>' | '"' | '\'' => {
                return Err(bad(text));
            }
            c => name.push(c),
        }
    }
    if name.is_empty() {
        return Err(bad(text));
    }
    steps.push(if name == "*" { Step::All } else { Step::Field(name) });
    Ok(&text[end..])
}

fn bracket<'a>(text: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, PathError> {
    let end = closing(text).ok_or_else(|| bad(text))?;
    let (inside, rest) = (text[..end].trim(), &text[end + 1..]);
    if inside == "*" {
        steps.push(Step::All);
    } else if let Some(filter) = inside.strip_prefix("?(").and_then(|text| text.strip_suffix(')')) {
        steps.push(self::filter(filter)?);
    } else if inside.starts_with(['\'', '"']) {
        match literal(inside) {
            Some(Value::String(name)) => steps.push(Step::Field(name)),
            _ => return Err(bad(inside)),
        }
    } else {
        let number = |text: &str| -> Result<Option<i64>, PathError> {
            let text = text.trim();
            if text.is_empty() {
                return Ok(None);
            }
            text.parse().map(Some).map_err(|_| bad(inside))
        };
        let parts: Vec<&str> = inside.split(':').collect();
        steps.push(match parts[..] {
            [one] => {
                let at = number(one)?.ok_or_else(|| bad(inside))?;
                Step::Slice(Some(at), (at != -1).then(|| at.saturating_add(1)), 1)
            }
            [from, to] => Step::Slice(number(from)?, number(to)?, 1),
            [from, to, by] => {
                let by = number(by)?.unwrap_or(1);
                let by = usize::try_from(by)
                    .ok()
                    .filter(|by| *by > 0)
                    .ok_or_else(|| bad(inside))?;
                Step::Slice(number(from)?, number(to)?, by)
            }
            _ => return Err(bad(inside)),
        });
    }
    Ok(rest)
}

/// Where the bracket ends, brackets and quotes inside of it left aside.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn filter(text: &str) -> Result<Step, PathError> {
    use Comparison::{Different, Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    let operators = [
        ("==", Equal),
        ("!=", Different),
        ("<=", LessOrEqual),
        (">=", GreaterOrEqual),
        ("<", Less),
        (">", Greater),
    ];
    let found = operators
        .into_iter()
        .filter_map(|(sign, comparison)| Some((text.find(sign)?, sign, comparison)))
        .min_by_key(|(at, sign, _)| (*at, usize::MAX - sign.len()));
    let Some((at, sign, comparison)) = found else {
        return Ok(Step::Filter(relative(text)?, None));
    };
    let (left, right) = (text[..at].trim(), text[at + sign.len()..].trim());
    let right = if right.starts_with('@') {
        Operand::Path(relative(right)?)
    } else {
        Operand::Value(literal(right).ok_or_else(|| bad(right))?)
    };
    Ok(Step::Filter(relative(left)?, Some((comparison, right))))
}

fn relative(text: &str) -> Result<Vec<Step>, PathError> {
    let rest = text.trim().strip_prefix('@').ok_or_else(|| bad(text))?;
    // No filter inside of a filter: they would multiply.
    if rest.contains("?(") {
        return Err(bad(text));
    }
    Path::parse(rest).map(|path| path.0)
}

fn literal(text: &str) -> Option<Value> {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote) {
            let inner = inner.strip_suffix(quote)?;
            let mut out = String::new();
            let mut chars = inner.chars();
            while let Some(c) = chars.next() {
                match c {
                    '\\' => out.push(chars.next()?),
                    c if c == quote => return None,
                    c => out.push(c),
                }
            }
            return Some(Value::from(out));
        }
    }
    serde_json::from_str(text)
        .ok()
        .filter(|value: &Value| !value.is_array() && !value.is_object())
}

fn find<'a>(steps: &[Step], value: &'a Value) -> Vec<&'a Value> {
    let mut found = vec![value];
    for step in steps {
        let mut next = Vec::new();
        for value in found {
            apply(step, value, &mut next);
            if next.len() > MOST {
                next.truncate(MOST);
                break;
            }
        }
        found = next;
    }
    found
}

fn apply<'a>(step: &Step, value: &'a Value, out: &mut Vec<&'a Value>) {
    match step {
        Step::Field(name) => out.extend(value.get(name)),
        Step::All => match value {
            Value::Array(list) => out.extend(list),
            Value::Object(map) => out.extend(map.values()),
            _ => {}
        },
        Step::Deep => deep(value, out),
        Step::Slice(from, to, by) => {
            let Value::Array(list) = value else { return };
            let length = list.len() as i64;
            let place = |at: i64| if at < 0 { at.saturating_add(length) } else { at };
            let from = place(from.unwrap_or(0)).max(0);
            let to = to.map_or(length, place).min(length);
            let count = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
            out.extend(list.iter().skip(from as usize).take(count).step_by(*by));
        }
        Step::Filter(left, test) => {
            let values: Vec<&Value> = match value {
                Value::Array(list) => list.iter().collect(),
                Value::Object(map) => map.values().collect(),
                _ => return,
            };
            out.extend(
                values
                    .into_iter()
                    .filter(|value| passes(value, left, test.as_ref())),
            );
        }
    }
}

fn deep<'a>(value: &'a Value, out: &mut Vec<&'a Value>) {
    if out.len() > MOST {
        return;
    }
    out.push(value);
    match value {
        Value::Array(list) => list.iter().for_each(|value| deep(value, out)),
        Value::Object(map) => map.values().for_each(|value| deep(value, out)),
        _ => {}
    }
}

fn passes(value: &Value, left: &[Step], test: Option<&(Comparison, Operand)>) -> bool {
    let found = find(left, value);
    let Some((comparison, operand)) = test else {
        return !found.is_empty();
    };
    let other = match operand {
        Operand::Value(value) => Some(value),
        Operand::Path(steps) => find(steps, value).first().copied(),
    };
    let (Some(found), Some(other)) = (found.first(), other) else {
        return false;
    };
    let order = match (found, other) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (a, b) => (*a == b).then_some(std::cmp::Ordering::Equal),
    };
    match comparison {
        Comparison::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
        Comparison::Different => !order.is_some_and(std::cmp::Ordering::is_eq),
        Comparison::Less => order.is_some_and(std::cmp::Ordering::is_lt),
        Comparison::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
        Comparison::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
        Comparison::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn chooses_values() {
        let value = json!({
            "metadata": {"annotations": {"a.b/c": "x"}},
            "spec": {"n": 3, "list": [{"name": "a", "v": 1}, {"name": "b", "v": 2}, {"name": "c]", "v": 3}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
        });
        let find = |path: &str| json!(Path::parse(path).unwrap().find(&value));
        assert_eq!(find(".spec.n"), json!([3]));
        assert_eq!(find("$.spec.n"), json!([3]));
        assert_eq!(find(".spec.list[0].name"), json!(["a"]));
        assert_eq!(find(".spec.list[-1].v"), json!([3]));
        assert_eq!(find(".spec.list[0:2].v"), json!([1, 2]));
        assert_eq!(find(".spec.list[::2].v"), json!([1, 3]));
        assert_eq!(find(".spec.list[*].v"), json!([1, 2, 3]));
        assert_eq!(
            find(r#".status.conditions[?(@.type=="Ready")].status"#),
            json!(["True"])
        );
        assert_eq!(
            find(".status.conditions[?(@.type!='Ready')].status"),
            json!(["False"])
        );
        assert_eq!(find(".spec.list[?(@.v>=2)].name"), json!(["b", "c]"]));
        assert_eq!(find(".spec.list[?(@.name=='c]')].v"), json!([3]));
        assert_eq!(find(".spec.list[?(@.missing)].v"), json!([]));
        assert_eq!(find(r".metadata.annotations.a\.b/c"), json!(["x"]));
        assert_eq!(find(".metadata.annotations['a.b/c']"), json!(["x"]));
        assert_eq!(find("..v"), json!([1, 2, 3]));
        assert_eq!(find(".nothing.at.all"), json!([]));
        assert_eq!(Path::parse(".spec.n").unwrap().fields().unwrap(), ["spec", "n"]);
        assert_eq!(Path::parse(".spec.list[0]").unwrap().fields(), None);
    }

    #[test]
    fn hostile_paths() {
        for text in [
            "[",
            "]",
            "[?(",
            "[?(@.a==)]",
            "[?(@[?(@.a)])]",
            "a b",
            "[x]",
            "[::0]",
            "[0:1:2:3]",
            "\\",
            "..",
            "['a",
        ] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
        assert!(Path::parse(&".a".repeat(100_000)).is_err());
        assert!(Path::parse(&"[".repeat(100_000)).is_err());
        // Each `..` could square what is found.
        let mut value = json!(1);
        for _ in 0..100 {
            value = json!([value.clone(), {"a": value}]);
            if value.to_string().len() > 1 << 20 {
                break;
            }
        }
        let found = Path::parse("..*..*..*..*").unwrap().find(&value).len();
        assert!(found <= MOST, "{found}");
    }
}
