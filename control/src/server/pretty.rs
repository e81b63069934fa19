//! JSON for the eyes, of who asks for it (`?pretty=true`) or looks at it with curl, wget or a browser.
//!
//! Source: `isPrettyPrint` in `k8s.io/apiserver/pkg/endpoints/handlers/negotiation/negotiate.go`; the form is that of Go's
//! `json.MarshalIndent`.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use hyper::body::Frame;

use super::body::{Body, BoxError, FRAME};
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
    response.map(|body| {
        let indented = Indented {
            body,
            rest: Bytes::new(),
            indent: Indent::default(),
        };
        indented.boxed_unsync()
    })
}

/// The body in many lines: made while it is taken, since it may be a hundred times as long.
struct Indented {
    body: Body,
    /// Of the body's last frame.
    rest: Bytes,
    indent: Indent,
}

impl hyper::body::Body for Indented {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            let data = this.indent.write(&mut this.rest);
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }
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
    /// The next piece of a document, or as much of it as fills a frame; what is left stays.
    fn write(&mut self, piece: &mut Bytes) -> Bytes {
        let mut out = Vec::with_capacity(FRAME.min(piece.len() * 2));
        let mut read = 0;
        while out.len() < FRAME
            && let Some(&byte) = piece.get(read)
        {
            read += 1;
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
        piece.advance(read);
        out.into()
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.resize(out.len() + 2 * self.depth, b' ');
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::body::full;
    use super::*;

    fn pieces(text: &str, size: usize) -> String {
        let mut indent = Indent::default();
        let mut written = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            let mut piece = Bytes::copy_from_slice(piece);
            while !piece.is_empty() {
                written.extend(indent.write(&mut piece));
            }
        }
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

    #[tokio::test]
    async fn what_gets_long_is_made_in_frames() {
        let numbers = vec![1; 2000].into();
        let deep = (0..90).fold(numbers, |inner: Value, _| json!([inner]));
        let mut response = Response::new(full(deep.to_string()));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        let mut body = indented(response).into_body();
        let mut written = Vec::new();
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() < FRAME + 1024);
            written.extend(data);
        }
        assert!(written.len() > 4 * FRAME, "{}", written.len());
        assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), deep);
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
