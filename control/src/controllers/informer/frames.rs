//! Splits a watch response into lines and decodes them.

use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

/// One watch event with its object still as text.
#[derive(Debug, Deserialize)]
pub struct Frame<'a> {
    /// ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.
    #[serde(rename = "type")]
    pub kind: std::borrow::Cow<'a, str>,
    /// The object, or a Status.
    #[serde(borrow)]
    pub object: &'a RawValue,
}

/// Collects chunks and hands out complete lines.
#[derive(Debug, Default)]
pub struct Lines {
    buffer: BytesMut,
    /// Bytes of `buffer` known to hold no newline.
    searched: usize,
}

impl Lines {
    /// Adds what arrived.
    pub fn push(&mut self, chunk: &Bytes) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next complete line without its end, if there is one. Empty lines are skipped.
    pub fn next(&mut self) -> Option<Bytes> {
        while let Some(offset) = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n')
        {
            let line = self.buffer.split_to(self.searched + offset).freeze();
            self.buffer.advance(1);
            self.searched = 0;
            if !line.is_empty() {
                return Some(line);
            }
        }
        self.searched = self.buffer.len();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chunking_does_not_matter(text in "[a-c\n]{0,64}", cut in 1usize..9) {
            let mut lines = Lines::default();
            let mut got = Vec::new();
            for chunk in text.as_bytes().chunks(cut) {
                lines.push(&Bytes::copy_from_slice(chunk));
                while let Some(line) = lines.next() {
                    got.push(String::from_utf8(line.to_vec()).unwrap());
                }
            }
            let complete = text.rfind('\n').map_or("", |end| &text[..end]);
            let expected: Vec<_> = complete.split('\n').filter(|line| !line.is_empty()).collect();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn hostile_frames_are_errors() {
        for text in [
            "",
            "{}",
            "[]",
            "{\"type\":1,\"object\":{}}",
            "{\"type\":\"ADDED\"}",
            "\u{0}",
        ] {
            assert!(serde_json::from_str::<Frame<'_>>(text).is_err(), "{text}");
        }
        let frame: Frame<'_> = serde_json::from_str(r#"{"object":{"a":[1]},"type":"ADDED"}"#).unwrap();
        assert_eq!(
            (frame.kind.as_ref(), frame.object.get()),
            ("ADDED", r#"{"a":[1]}"#)
        );
    }
}
