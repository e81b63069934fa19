//! Fields by their JSON pointers (RFC 6901), for code that knows its pointers.

use serde_json::Value;

/// What stands at a pointer such as `/spec/containers`. `Value::pointer` copies each part of it twice for the escapes `~0` and
/// `~1`; here only the parts that have some are copied.
pub fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    if pointer.is_empty() {
        return Some(value);
    }
    let mut parts = pointer.strip_prefix('/')?.split('/');
    parts.try_fold(value, |inside, part| match inside {
        Value::Object(fields) if part.bytes().any(|byte| byte == b'~') => {
            fields.get(&part.replace("~1", "/").replace("~0", "~"))
        }
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
        let value = json!({"a": {"b": [1, {"c": "x"}], "": 3}, "n": null, "x/y": {"~": 4, "~1": 5}});
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
            "/x~1y",
            "/x~1y/~0",
            "/x~1y/~01",
            "/x/y",
            "a",
            "/a/b/1/c/d",
        ] {
            assert_eq!(at(&value, pointer), value.pointer(pointer), "{pointer}");
        }
    }
}
