//! Where the resourceVersion sits inside an object's bytes.
//!
//! The encoder writes `metadata` right after `apiVersion` and `kind`, and `resourceVersion` first inside it, so that the
//! store can fill in the revision, which is known only at commit, without decoding.

use bytes::Bytes;

/// The text before the revision.
const MARK: &[u8] = b"\"metadata\":{\"resourceVersion\":\"";

/// Offset of the first byte of the revision.
fn slot(bytes: &[u8]) -> Option<usize> {
    // apiVersion and kind are short and cannot contain the mark, so its first occurrence is the right one.
    let head = &bytes[..bytes.len().min(4096)];
    head.windows(MARK.len())
        .position(|window| window == MARK)
        .map(|at| at + MARK.len())
}

/// The bytes with this revision in place of the one that they carry; `None` if they were not made by the encoder.
pub fn splice(bytes: &[u8], revision: u64) -> Option<Bytes> {
    let start = slot(bytes)?;
    let end = start + bytes[start..].iter().position(|byte| *byte == b'"')?;
    let digits = revision.to_string();
    let mut out = Vec::with_capacity(bytes.len() - (end - start) + digits.len());
    out.extend_from_slice(&bytes[..start]);
    out.extend_from_slice(digits.as_bytes());
    out.extend_from_slice(&bytes[end..]);
    Some(Bytes::from(out))
}

/// Whether two encodings are the same apart from the revision.
pub fn same(left: &[u8], right: &[u8]) -> bool {
    fn halves(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let start = slot(bytes)?;
        let end = start + bytes[start..].iter().position(|byte| *byte == b'"')?;
        Some((&bytes[..start], &bytes[end..]))
    }
    halves(left).is_some_and(|left| halves(right) == Some(left))
}
