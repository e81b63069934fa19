//! The continue token of a list: where the next page begins, and in which state of the store. Pure.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keelson_api::status::Status;
use serde::{Deserialize, Serialize};

/// A token is good for five minutes, as upstream's is until etcd is compacted.
const LIFETIME: i64 = 300;

/// The token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
        let invalid = || Status::bad_request("continue key is not valid: it does not come from this server");
        let bytes = URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .map_err(|_| invalid())?;
        let token: Self = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        if token.v != "meta.k8s.io/v1" || token.rv < -1 || token.start.contains('\0') {
            return Err(invalid());
        }
        Ok(token)
    }

    /// As the client gets it.
    pub fn text(&self) -> String {
        // Strings and numbers always serialize.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Whether it has outlived the snapshot that it names.
    pub fn is_expired(&self, now: i64) -> bool {
        self.rv >= 0 && now.saturating_sub(self.at) > LIFETIME
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn comes_back(rv in -1_i64..i64::MAX, start in "[a-z/.-]{0,40}", at in 0_i64..4_000_000_000) {
            let token = Token::new(rv, start, at);
            prop_assert_eq!(Token::parse(&token.text()).unwrap(), token);
        }

        #[test]
        fn hostile_tokens_are_refused(text in ".{0,80}") {
            let _ = Token::parse(&text);
        }
    }
}
