//! What a client as kubectl says on a connection, from the first frame to the last: the seed that fuzzing starts from.

use super::frame::{control, data_head};
use super::headers::{Encoder, Headers};

/// An exec with input, a terminal's size, and a question for a sign of life.
pub(in crate::server) fn example() -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut all = Vec::new();
    for (id, kind) in [(1u32, "error"), (3, "stdin"), (5, "stdout"), (7, "resize")] {
        let headers = [("streamtype", kind), ("port", "80"), ("requestid", "0")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let block = encoder.encode(&Headers(headers.to_vec()));
        // Stream, associated stream, priority and slot, headers.
        let body = [&id.to_be_bytes()[..], &[0; 6], &block].concat();
        all.extend_from_slice(&control(1, 0, &body));
    }
    let mut data = |stream: u32, bytes: &[u8], fin: bool| {
        all.extend_from_slice(&data_head(stream, bytes.len(), fin));
        all.extend_from_slice(bytes);
    };
    data(3, b"hello", false);
    data(7, br#"{"Width":80,"Height":24}"#, false);
    data(3, b"", true);
    all.extend_from_slice(&control(6, 0, &7u32.to_be_bytes()));
    all.extend_from_slice(&control(3, 0, &[1u32.to_be_bytes(), 5u32.to_be_bytes()].concat()));
    all.extend_from_slice(&control(7, 0, &[0; 8]));
    all
}
