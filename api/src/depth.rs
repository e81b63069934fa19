//! How deeply a value is nested, and how many lists and objects it has. Everything that reads, compares or drops a value
//! recurses, and `serde_json` reads back at most 127 levels, so nothing deeper may be made. An object in memory takes a few
//! hundred bytes even if its text has two, and more once defaults are filled in.

use serde_json::Value;

/// Most levels of an object; leaves room for the list or event around it.
pub const MAX_DEPTH: usize = 100;

/// Most lists and objects in a document that a client sends, or a patch makes.
pub const MAX_STRUCTURES: usize = 1 << 16;

/// How many lists and objects the value consists of.
pub fn structures(value: &Value) -> usize {
    let (mut count, mut open) = (0, vec![value]);
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items.iter().filter(|item| is_structure(item))),
            Value::Object(fields) => open.extend(fields.values().filter(|field| is_structure(field))),
            _ => continue,
        }
        count += 1;
    }
    count
}

fn is_structure(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

/// Levels of lists and objects in the value, 0 for anything else, and how many values there are in all.
pub fn measure(value: &Value) -> (usize, usize) {
    let (mut deepest, mut values) = (0, 1);
    let mut open = vec![(value, 1)];
    while let Some((value, depth)) = open.pop() {
        let mut child = |child| {
            values += 1;
            if matches!(child, &Value::Array(_) | &Value::Object(_)) {
                open.push((child, depth + 1));
            }
        };
        match value {
            Value::Array(items) => items.iter().for_each(&mut child),
            Value::Object(fields) => fields.values().for_each(&mut child),
            _ => continue,
        }
        deepest = deepest.max(depth);
    }
    (deepest, values)
}

/// Whether the value has more than [`MAX_DEPTH`] levels.
pub fn is_too_deep(value: &Value) -> bool {
    measure(value).0 > MAX_DEPTH
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn levels_and_values_are_counted() {
        assert_eq!(measure(&json!("x")), (0, 1));
        assert_eq!(measure(&json!([])), (1, 1));
        assert_eq!(measure(&json!({"a": [1, {"b": {}}], "c": 2})), (4, 6));
        assert_eq!(structures(&json!({"a": [1, {"b": {}}], "c": 2})), 4);
        assert_eq!(structures(&json!(1)), 0);
        let nest = |levels| (0..levels).fold(json!(1), |value, _| json!([value]));
        assert!(!is_too_deep(&nest(MAX_DEPTH)) && is_too_deep(&nest(MAX_DEPTH + 1)));
    }
}
