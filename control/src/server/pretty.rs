//! JSON for the eyes, of who asks for it (`?pretty=true`) or looks at it with curl, wget or a browser.
//!
//! Source: `isPrettyPrint` in `k8s.io/apiserver/pkg/endpoints/handlers/negotiation/negotiate.go`; the form is that of Go's
//! `json.MarshalIndent`.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Response};
use http_body_util::BodyExt;

use super::body::Body;
use super::query::Query;

/// Whether the client wants it so.
pub fn is_wanted(query: &Query, headers: &HeaderMap) -> bool {
    match query.get("pretty") {
        "" => {
            let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
            let agents = ["curl", "Wget", "Mozilla/5.0"];
            agent.is_some_and(|agent| agents.iter().any(|name| agent.starts_with(name)))
        }
        said => matches!(said, "1" | "t" | "T" | "true" | "TRUE" | "True"),
    }
}

/// The same answer, if it is JSON, in many lines.
pub fn indented(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    let is_json = headers
        .get(CONTENT_TYPE)
        .is_some_and(|media| media == "application/json");
    if !is_json || headers.contains_key(CONTENT_ENCODING) {
        return response;
    }
    headers.remove(CONTENT_LENGTH);
    let mut indent = Indent::default();
    response.map(|body| {
        body.map_frame(move |frame| frame.map_data(|data| indent.write(&data)))
            .boxed_unsync()
    })
}

/// Where in a document it is.
#[derive(Debug, Default)]
struct Indent {
    depth: usize,
    /// In an object or list of which nothing has come.
    opened: bool,
    /// In a text.
    quoted: bool,
    /// Behind a backslash.
    escaped: bool,
}

impl Indent {
    /// The next piece of a document.
    fn write(&mut self, piece: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(piece.len() * 2);
        for &byte in piece {
            if self.quoted {
                out.push(byte);
                self.quoted = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                continue;
            }
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => {}
                b':' => out.extend_from_slice(b": "),
                b',' => {
                    out.push(byte);
                    self.line(&mut out);
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if !std::mem::take(&mut self.opened) {
                        self.line(&mut out);
                    }
                    out.push(byte);
                }
                _ => {
                    if std::mem::take(&mut self.opened) {
                        self.line(&mut out);
                    }
                    out.push(byte);
                    self.quoted = byte == b'"';
                    if matches!(byte, b'{' | b'[') {
                        self.depth += 1;
                        self.opened = true;
                    }
                }
            }
        }
        out.into()
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.resize(out.len() + 2 * self.depth, b' ');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn pieces(text: &str, size: usize) -> String {
        let mut indent = Indent::default();
        let written: Vec<u8> = text
            .as_bytes()
            .chunks(size)
            .flat_map(|piece| indent.write(piece))
            .collect();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn documents_are_as_go_indents_them() {
        let value = json!({"a": [], "b": {}, "c": [1, {"d": "x\"{,:\\"}], "e": null});
        let expected = "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1,\n    {\n      \"d\": \"x\\\"{,:\\\\\"\n    }\n  ],\n  \
                        \"e\": null\n}";
        for size in 1..40 {
            assert_eq!(pieces(&value.to_string(), size), expected);
            assert_eq!(pieces(expected, size), expected);
        }
    }

    proptest! {
        #[test]
        fn texts_stay_what_they_are(texts in prop::collection::vec(".*", 0..4), size in 1_usize..9) {
            let value = json!({"t": texts});
            let back: Value = serde_json::from_str(&pieces(&value.to_string(), size)).unwrap();
            prop_assert_eq!(back, value);
        }
    }
}
