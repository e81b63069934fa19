//! Single objects as answers, in the form that was asked for.

use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{HeaderName, Response, StatusCode};
use keelson_api::protobuf::MEDIA_TYPE;
use keelson_api::status::{Status, go_quote};
use serde_json::Value;

use super::accept::{Encoding, Form};
use super::body::{self, Body};
use super::call::Call;
use super::convert;
use super::later::{Later, Write};
use super::protobuf::Target;
use super::table;
use super::yaml_size::yaml_size;
use crate::kinds::Kind;
use crate::object::Object;

/// The object's JSON in the version that this kind serves.
pub fn view(kind: &Kind, object: &Object) -> Bytes {
    if convert::is_version(kind, object) {
        object.bytes.clone()
    } else {
        // Values always serialize.
        Bytes::from(serde_json::to_vec(&convert::to(kind, object.value())).unwrap_or_default())
    }
}

/// The decoded object in the version that this kind serves.
pub fn value(kind: &Kind, object: &Object) -> Value {
    if convert::is_version(kind, object) {
        object.value()
    } else {
        convert::to(kind, object.value())
    }
}

/// A stored object as the answer.
pub fn object(call: &Call, code: StatusCode, object: &Object, warnings: &[String]) -> Response<Body> {
    let kind = call.kind();
    let is_stored = matches!(
        (call.accept.form, call.accept.encoding),
        (Form::Object, Encoding::Json)
    );
    let mut response = if is_stored {
        let bytes = view(kind, object);
        let size = bytes.len();
        let mut response = body::json(code, bytes);
        if !convert::is_version(kind, object) {
            response = body::made(response);
        }
        body::compress(response, size, call.accept.gzip && !call.local)
    } else {
        made(call, code, object).unwrap_or_else(|status| body::status(Encoding::Json, &status))
    };
    warn(&mut response, warnings);
    response
}

/// An object that is not answered as it is stored.
fn made(call: &Call, code: StatusCode, object: &Object) -> Result<Response<Body>, Status> {
    let (form, encoding) = (call.accept.form, call.accept.encoding);
    let (kind, include) = (call.served.kind.clone(), table::include(&call.query));
    let (media, write): (_, Write) = if encoding == Encoding::Protobuf && !matches!(form, Form::Table { .. })
    {
        let target = Target::new(&kind, form)?;
        let write = move |out: &mut Vec<u8>, _: usize, object: &Object| {
            out.extend_from_slice(&target.body(&view(&kind, object))?);
            Ok(())
        };
        (MEDIA_TYPE, Box::new(write))
    } else {
        let value = move |object: &Object| match form {
            Form::Object => value(&kind, object),
            Form::Table { beta } => table::single(&kind, object, include, beta),
            Form::Partial { beta } => table::partial(&object.value(), beta),
        };
        let yaml = encoding == Encoding::Yaml;
        let write = move |out: &mut Vec<u8>, _: usize, object: &Object| {
            // Values always serialize, and writing into memory cannot fail.
            if yaml {
                let _ = serde_yaml_ng::to_writer(out, &value(object));
            } else {
                let _ = serde_json::to_writer(out, &value(object));
            }
            Ok(())
        };
        let media = if yaml {
            "application/yaml"
        } else {
            "application/json"
        };
        (media, Box::new(write))
    };
    let tail: &[u8] = if encoding == Encoding::Json { b"\n" } else { b"" };
    let later = Later {
        head: Vec::new(),
        objects: vec![Arc::new(object.clone())],
        write,
        size: if encoding == Encoding::Yaml {
            yaml_size
        } else {
            <[u8]>::len
        },
        tail: tail.to_vec(),
    };
    later.answer(call, code, media)
}

/// A value that is not stored as the answer.
pub fn plain(call: &Call, code: StatusCode, value: &Value, warnings: &[String]) -> Response<Body> {
    let mut response = body::value(code, call.accept.encoding, value);
    warn(&mut response, warnings);
    response
}

/// A Status as the answer.
pub fn status(call: &Call, status: &Status, warnings: &[String]) -> Response<Body> {
    let mut response = body::status(call.accept.encoding, status);
    warn(&mut response, warnings);
    response
}

/// Adds warnings (RFC 7234, section 5.5, as `k8s.io/apimachinery/pkg/util/net.NewWarningHeader` writes them).
pub fn warn(response: &mut Response<Body>, warnings: &[String]) {
    const WARNING: HeaderName = HeaderName::from_static("warning");
    for clean in shown(warnings) {
        if let Ok(value) = HeaderValue::from_str(&format!("299 - {}", go_quote(&clean))) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

/// What is shown of warnings: each once, and if all together are long, each cut short, and the rest not at all
/// (`apiserver/pkg/endpoints/filters/warning.go`).
fn shown(warnings: &[String]) -> Vec<String> {
    const MOST_OF_ALL: usize = 4 << 10;
    const MOST_OF_ONE: usize = 256;
    let mut all: Vec<String> = Vec::new();
    for warning in warnings {
        let clean: String = warning.chars().filter(|c| !c.is_control()).collect();
        if !all.contains(&clean) {
            all.push(clean);
        }
    }
    let length = |text: &String| text.chars().count();
    if all.iter().map(length).sum::<usize>() <= MOST_OF_ALL {
        return all;
    }
    let mut written = 0;
    all.into_iter()
        .map(|text| text.chars().take(MOST_OF_ONE).collect::<String>())
        .take_while(|text| {
            let room = written < MOST_OF_ALL;
            written += length(text);
            room
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_warnings_are_cut_short() {
        let few = ["a\n".to_owned(), "b".repeat(1000), "a".to_owned()];
        assert_eq!(shown(&few), ["a".to_owned(), "b".repeat(1000)]);
        let one = shown(&["c".repeat(3 << 20)]);
        assert_eq!(one, ["c".repeat(256)]);
        let many: Vec<String> = (0..100).map(|n| format!("{n}{}", "d".repeat(1000))).collect();
        let many = shown(&many);
        assert_eq!((many.len(), many[0].len()), (16, 256));
    }
}
