//! The events of a watch on their way to its client. Small ones are written one after the other; of large ones the bytes
//! are shared by all watches, so that an event is not there once for each client that does not read.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use keelson_api::protobuf::envelope;

/// Objects from this size on are shared.
const SHARED: usize = 4 << 10;

/// Begins a field 1 of bytes.
const FIELD_1: u8 = 1 << 3 | 2;

/// What is to be sent.
#[derive(Debug, Default)]
pub struct Pieces {
    ready: VecDeque<Bytes>,
    /// Bytes of those.
    size: usize,
    open: BytesMut,
}

impl Pieces {
    /// Bytes of all together.
    pub fn len(&self) -> usize {
        self.size + self.open.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next piece: events, or a part of one.
    pub fn pop(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.ready.pop_front() {
            self.size -= piece.len();
            return Some(piece);
        }
        (!self.open.is_empty()).then(|| std::mem::take(&mut self.open).freeze())
    }

    /// An event as JSON.
    pub fn json(&mut self, event: &str, object: &Bytes) {
        self.open.put_slice(b"{\"type\":\"");
        self.open.put_slice(event.as_bytes());
        self.open.put_slice(b"\",\"object\":");
        self.push(object);
        self.open.put_slice(b"}\n");
    }

    /// An event as protobuf, around a whole body: what [`envelope::frame`] writes.
    pub fn protobuf(&mut self, event: &str, body: &Bytes) {
        if body.len() < SHARED {
            return envelope::frame(&mut self.open, event, body);
        }
        // The names of events are short. An inner field 1 is written as a list's item is, but for its number.
        let mut head = vec![FIELD_1, event.len() as u8];
        head.extend_from_slice(event.as_bytes());
        head.extend_from_slice(&envelope::item(envelope::item_length(body.len())));
        head.push(FIELD_1);
        head.extend_from_slice(&envelope::item(body.len())[1..]);
        // Bodies are far below 4 GiB.
        self.open.put_u32((head.len() + body.len()) as u32);
        self.open.put_slice(&head);
        self.push(body);
    }

    fn push(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED {
            return self.open.put_slice(bytes);
        }
        let before = std::mem::take(&mut self.open).freeze();
        self.size += before.len() + bytes.len();
        self.ready.extend([before, bytes.clone()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut pieces: Pieces, shared: &Bytes) -> (Vec<u8>, bool) {
        let (size, mut text, mut is_shared) = (pieces.len(), Vec::new(), false);
        while let Some(piece) = pieces.pop() {
            is_shared |= piece.as_ptr() == shared.as_ptr();
            text.extend_from_slice(&piece);
        }
        assert!(pieces.is_empty() && text.len() == size);
        (text, is_shared)
    }

    #[test]
    fn large_objects_are_shared() {
        for size in [1, SHARED - 1, SHARED, 1 << 20] {
            let object = Bytes::from(vec![b'1'; size]);
            let (mut json, mut protobuf) = (Pieces::default(), Pieces::default());
            let (mut text, mut frames) = (Vec::new(), Vec::new());
            for event in ["ADDED", "MODIFIED", "BOOKMARK"] {
                json.json(event, &object);
                text.extend_from_slice(format!("{{\"type\":\"{event}\",\"object\":").as_bytes());
                text.extend_from_slice(&object);
                text.extend_from_slice(b"}\n");
                protobuf.protobuf(event, &object);
                envelope::frame(&mut frames, event, &object);
            }
            assert!(all(json, &object) == (text, size >= SHARED), "{size}");
            assert!(all(protobuf, &object) == (frames, size >= SHARED), "{size}");
        }
    }
}
