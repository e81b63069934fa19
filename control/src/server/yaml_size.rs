//! How long a JSON document gets as YAML, before it is written: every value may be a line of its own, and so may every line
//! of a text, each indented by its depth. A megabyte of small numbers deep down becomes a hundred.

/// About so many bytes, rather too many than too few; no fewer than the document has.
pub fn yaml_size(document: &[u8]) -> usize {
    let (mut size, mut depth) = (document.len(), 0_usize);
    let (mut quoted, mut escaped) = (false, false);
    for &byte in document {
        let ends_line = if quoted {
            let newline = escaped && byte == b'n';
            quoted = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            newline
        } else {
            match byte {
                b'"' => quoted = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            matches!(byte, b',' | b'{' | b'[')
        };
        if ends_line {
            size += 2 * depth;
        }
    }
    size
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// A value inside of so many objects or lists.
    fn nested(depth: usize, value: Value, in_lists: bool) -> Value {
        (0..depth).fold(value, |inner, _| {
            if in_lists {
                json!([inner])
            } else {
                json!({ "a": inner })
            }
        })
    }

    fn written(value: &Value) -> usize {
        serde_yaml_ng::to_string(value).unwrap().len()
    }

    #[test]
    fn what_grows_is_known_before() {
        let numbers = json!(vec![1; 2000]);
        let lines = json!("x\n".repeat(2000));
        for (value, in_lists) in [
            (&numbers, false),
            (&numbers, true),
            (&lines, false),
            (&lines, true),
        ] {
            let value = nested(60, value.clone(), in_lists);
            let (text, size) = (value.to_string(), written(&value));
            assert!(size > 20 * text.len(), "{size} of {}", text.len());
            let expected = yaml_size(text.as_bytes());
            assert!((size..2 * size).contains(&expected), "{expected} for {size}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_much_longer(texts in prop::collection::vec("[ -~\n\"\\\\]*", 0..8), depth in 0_usize..40) {
            for in_lists in [false, true] {
                let value = nested(depth, json!({"texts": texts}), in_lists);
                let text = value.to_string();
                prop_assert!(written(&value) <= yaml_size(text.as_bytes()) + text.len());
            }
        }
    }
}
