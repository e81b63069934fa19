//! What lies around an object: the prefix and `runtime.Unknown` with its kind (`runtime/serializer/protobuf`), lists made
//! of items that are encoded one by one, and the frames of a watch.

use bytes::BufMut;

use super::wire::{Raw, Reader, put_bytes, put_varint, varint_length};
use super::{DecodeError, EncodeError, Message, encode};

/// What begins every body.
const MAGIC: &[u8] = b"k8s\0";

/// What ends every body: no content encoding and no content type, which Go writes as well.
pub const TAIL: &[u8] = &[0x1a, 0, 0x22, 0];

/// What begins a body whose object takes `length` bytes; the object and [`TAIL`] follow.
pub fn head(api_version: &str, kind: &str, length: usize) -> Vec<u8> {
    let mut meta = Vec::with_capacity(api_version.len() + kind.len() + 8);
    put_bytes(&mut meta, 1, api_version.as_bytes());
    put_bytes(&mut meta, 2, kind.as_bytes());
    let mut out = Vec::with_capacity(MAGIC.len() + meta.len() + 16);
    out.extend_from_slice(MAGIC);
    put_bytes(&mut out, 1, &meta);
    out.push(2 << 3 | 2);
    put_varint(&mut out, length as u64);
    out
}

/// A whole body, from an object's JSON.
pub fn object(api_version: &str, kind: &str, message: &Message, json: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let mut object = Vec::with_capacity(json.len());
    encode(message, json, &mut object)?;
    let mut out = head(api_version, kind, object.len());
    out.reserve_exact(object.len() + TAIL.len());
    out.extend_from_slice(&object);
    out.extend_from_slice(TAIL);
    Ok(out)
}

/// What begins a list item of that many bytes: field 2 of every list.
pub fn item(length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(8);
    out.push(2 << 3 | 2);
    put_varint(&mut out, length as u64);
    out
}

/// Bytes that an item of that length takes in a list.
pub fn item_length(length: usize) -> usize {
    1 + varint_length(length) + length
}

/// Appends a frame of a watch: its length, and a `WatchEvent` around a whole body.
pub fn frame(out: &mut impl BufMut, event: &str, body: &[u8]) {
    let raw = item_length(body.len());
    let mut head = Vec::with_capacity(32);
    put_bytes(&mut head, 1, event.as_bytes());
    head.push(2 << 3 | 2);
    put_varint(&mut head, raw as u64);
    head.push(1 << 3 | 2);
    put_varint(&mut head, body.len() as u64);
    // Bodies are far below 4 GiB: no object is larger than a few MiB.
    out.put_u32((head.len() + body.len()) as u32);
    out.put_slice(&head);
    out.put_slice(body);
}

/// A body that was taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Group and version; may be empty.
    pub api_version: &'a str,
    /// Kind; may be empty.
    pub kind: &'a str,
    /// The object's message.
    pub raw: &'a [u8],
}

/// Takes a body apart.
pub fn read(body: &[u8]) -> Result<Envelope<'_>, DecodeError> {
    let body = body.strip_prefix(MAGIC).ok_or(DecodeError::Magic)?;
    let mut out = Envelope {
        api_version: "",
        kind: "",
        raw: b"",
    };
    let mut reader = Reader::new(body);
    while let Some((number, value)) = reader.field()? {
        match (number, value) {
            (1, Raw::Bytes(meta)) => {
                let mut meta = Reader::new(meta);
                while let Some((number, value)) = meta.field()? {
                    match number {
                        1 => out.api_version = value.text()?,
                        2 => out.kind = value.text()?,
                        _ => {}
                    }
                }
            }
            (2, value) => out.raw = value.bytes()?,
            (1, _) => return Err(DecodeError::WireType("type")),
            _ => {}
        }
    }
    Ok(out)
}
