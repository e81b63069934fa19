//! The continue token of a list: where the next page begins, and in which state of the store. Pure.

use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use base64::{DecodeError, Engine, alphabet};
use keelson_api::status::{Status, go_quote, json_type};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A token is good for five minutes, as upstream's is until etcd is compacted.
const LIFETIME: i64 = 300;

/// Unused bits at the end are not looked at, as by Go.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

/// The token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Token {
    /// Format, `meta.k8s.io/v1`.
    v: String,
    /// Revision of the snapshot; -1 goes on in the current state.
    pub rv: i64,
    /// Key of the last object of the page before.
    pub start: String,
    /// When the first page was read, in Unix seconds.
    at: i64,
}

impl Token {
    /// A token for the page after `start`.
    pub fn new(rv: i64, start: String, at: i64) -> Self {
        Self {
            v: "meta.k8s.io/v1".to_owned(),
            rv,
            start,
            at,
        }
    }

    /// The next page's token of the same list.
    pub fn after(&self, start: String) -> Self {
        Self {
            start,
            ..self.clone()
        }
    }

    /// Reads what a client sent.
    pub fn parse(text: &str) -> Result<Self, Status> {
        Self::decode(text).map_err(|why| {
            Status::bad_request(format!("invalid continue token: continue key is not valid{why}"))
        })
    }

    /// The token, or what is wrong with it in upstream's words (`storage.DecodeContinue`).
    fn decode(text: &str) -> Result<Self, String> {
        let bytes = BASE64.decode(text).map_err(|error| {
            let at = match error {
                DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
                // One letter too many.
                DecodeError::InvalidLength(length) => length.saturating_sub(1),
                DecodeError::InvalidPadding => text.find('=').unwrap_or(text.len()),
            };
            format!(": illegal base64 data at input byte {at}")
        })?;
        let found: Value =
            serde_json::from_slice(&bytes).map_err(|error| format!(": {}", syntax(&bytes, &error)))?;
        if let Some(why) = mistyped(&found) {
            return Err(format!(": {why}"));
        }
        // Null is nothing, and so has no version.
        let token = Self::deserialize(&found).unwrap_or_default();
        if token.v != "meta.k8s.io/v1" {
            let version = &token.v;
            return Err(format!(
                ": server does not recognize this encoded version {version}"
            ));
        }
        if token.rv == 0 {
            let why = "incorrect encoded start resourceVersion (version meta.k8s.io/v1)";
            return Err(format!(": {why}"));
        }
        if token.start.is_empty() {
            return Err(": encoded start key empty (version meta.k8s.io/v1)".to_owned());
        }
        let is_step = |part: &str| !matches!(part, "" | "." | "..");
        if token.rv < -1 || token.start.contains('\0') || !token.start.split('/').all(is_step) {
            return Err(format!(": {}", token.start));
        }
        Ok(token)
    }

    /// As the client gets it.
    pub fn text(&self) -> String {
        // Strings and numbers always serialize.
        BASE64.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Whether it has outlived the snapshot that it names.
    pub fn is_expired(&self, now: i64) -> bool {
        self.rv >= 0 && now.saturating_sub(self.at) > LIFETIME
    }
}

/// What Go says of text that is no JSON, as far as its first letter or its end tells.
fn syntax(bytes: &[u8], error: &serde_json::Error) -> String {
    let first = bytes.trim_ascii_start().first().copied();
    match first {
        Some(first)
            if !matches!(
                first,
                b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'
            ) =>
        {
            let quoted = go_quote(&char::from(first).to_string());
            let inner = quoted.trim_matches('"').replace("\\\"", "\"");
            let shown = if first == b'\'' { "\\'" } else { &inner };
            format!("invalid character '{shown}' looking for beginning of value")
        }
        Some(_) if !error.is_eof() => error.to_string(),
        _ => "unexpected end of JSON input".to_owned(),
    }
}

/// What Go says of JSON whose types are not those of a token, if they are not.
fn mistyped(found: &Value) -> Option<String> {
    if !found.is_object() && !found.is_null() {
        let kind = json_type(found);
        return Some(format!(
            "json: cannot unmarshal {kind} into Go value of type storage.continueToken"
        ));
    }
    [("v", "string"), ("rv", "int64"), ("start", "string")]
        .into_iter()
        .find_map(|(name, wanted)| {
            let value = &found[name];
            let fits = value.is_null() || json_type(value) == wanted || (wanted == "int64" && value.is_i64());
            let shown = match value {
                Value::Number(number) if wanted == "int64" => format!("number {number}"),
                value => json_type(value).to_owned(),
            };
            (!fits).then(|| {
                format!(
                    "json: cannot unmarshal {shown} into Go struct field continueToken.{name} of type {wanted}"
                )
            })
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Upstream's texts, whose cases are those of its own test (`continue_test.go`).
    #[test]
    fn what_is_wrong_is_told_in_upstreams_words() {
        let encoded = |json: &str| BASE64.encode(json);
        for (text, why) in [
            ("%".to_owned(), ": illegal base64 data at input byte 0"),
            ("abc=".to_owned(), ": illegal base64 data at input byte 3"),
            ("abcde".to_owned(), ": illegal base64 data at input byte 4"),
            (
                encoded("x"),
                ": invalid character 'x' looking for beginning of value",
            ),
            (encoded("{"), ": unexpected end of JSON input"),
            (
                encoded("3"),
                ": json: cannot unmarshal number into Go value of type storage.continueToken",
            ),
            (
                encoded(r#"{"v":"meta.k8s.io/v1","rv":"1","start":"a"}"#),
                ": json: cannot unmarshal string into Go struct field continueToken.rv of type int64",
            ),
            (
                encoded(r#"{"v":"meta.k8s.io/v1","rv":1.5,"start":"a"}"#),
                ": json: cannot unmarshal number 1.5 into Go struct field continueToken.rv of type int64",
            ),
            (
                encoded(r#"{"v":3}"#),
                ": json: cannot unmarshal number into Go struct field continueToken.v of type string",
            ),
            (
                encoded("'"),
                ": invalid character '\\'' looking for beginning of value",
            ),
            (
                encoded("null"),
                ": server does not recognize this encoded version ",
            ),
            (
                encoded(r#"{"v":"v1","rv":1,"start":"key"}"#),
                ": server does not recognize this encoded version v1",
            ),
            (
                encoded(r#"{"rv":1,"start":"key"}"#),
                ": server does not recognize this encoded version ",
            ),
            (
                encoded(r#"{"v":"meta.k8s.io/v1","start":"key"}"#),
                ": incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ),
            (
                encoded(r#"{"v":"meta.k8s.io/v1","rv":1}"#),
                ": encoded start key empty (version meta.k8s.io/v1)",
            ),
            (
                encoded(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"../key"}"#),
                ": ../key",
            ),
        ] {
            let status = Token::parse(&text).unwrap_err();
            assert_eq!(
                (status.code, status.message),
                (
                    400,
                    format!("invalid continue token: continue key is not valid{why}")
                )
            );
        }
    }

    proptest! {
        #[test]
        fn comes_back(rv in 1_i64..i64::MAX, start in "[a-z-]{1,20}(/[a-z.-]{1,20}[a-z])?", at in 0_i64..4_000_000_000) {
            let token = Token::new(rv, start, at);
            prop_assert_eq!(Token::parse(&token.text()).unwrap(), token);
        }

        #[test]
        fn hostile_tokens_are_refused(text in ".{0,80}") {
            let _ = Token::parse(&text);
        }
    }
}
