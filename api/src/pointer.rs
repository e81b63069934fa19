//! Fields by their JSON pointers (RFC 6901), for code that knows its pointers.

use serde_json::Value;

/// What stands at a pointer such as `/spec/containers`. Keys with `~` or `/` in them cannot be named: `Value::pointer` can, and
/// for that copies each part of the pointer twice.
pub fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    if pointer.is_empty() {
        return Some(value);
    }
    let mut parts = pointer.strip_prefix('/')?.split('/');
    parts.try_fold(value, |inside, part| match inside {
        Value::Object(fields) => fields.get(part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::at;

    #[test]
    fn as_the_library_finds_it() {
        let value = json!({"a": {"b": [1, {"c": "x"}], "": 3}, "n": null});
        for pointer in [
            "",
            "/",
            "/a",
            "/a/",
            "/a/b",
            "/a/b/1/c",
            "/a/b/2",
            "/a/b/x",
            "/n",
            "/n/x",
            "/x",
            "a",
            "/a/b/1/c/d",
        ] {
            assert_eq!(at(&value, pointer), value.pointer(pointer), "{pointer}");
        }
    }
}
