//! The size of a terminal, as clients tell it.

use bytes::BytesMut;
use serde::{Deserialize, Serialize};

/// Longest JSON of a terminal size that is not complete yet.
const LIMIT: usize = 1024;

/// `{"Width": 80, "Height": 24}`; Go reads names in any case, and `@kubernetes/client-node` writes small letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Size {
    /// Columns.
    #[serde(alias = "width")]
    pub width: u16,
    /// Rows.
    #[serde(alias = "height")]
    pub height: u16,
}

/// Terminal sizes from a stream of JSON objects, cut anywhere.
#[derive(Debug, Default)]
pub struct Resizes {
    partial: BytesMut,
}

impl Resizes {
    /// Takes a piece and returns the sizes that are complete. Nonsense is dropped.
    pub fn push(&mut self, piece: &[u8]) -> Vec<Size> {
        if self.partial.len() + piece.len() > LIMIT {
            self.partial.clear();
            return Vec::new();
        }
        self.partial.extend_from_slice(piece);
        let mut sizes = serde_json::Deserializer::from_slice(&self.partial).into_iter::<Size>();
        let mut found = Vec::new();
        let used = loop {
            let used = sizes.byte_offset();
            match sizes.next() {
                Some(Ok(size)) => found.push(size),
                Some(Err(error)) if error.is_eof() => break used,
                Some(Err(_)) | None => break self.partial.len(),
            }
        };
        let _ = self.partial.split_to(used);
        found
    }
}
