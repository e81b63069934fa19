//! What either end says on a connection, from the first frame to the last: the seeds that fuzzing starts from.

use super::frame::{control, data_head, go_away, ping, reset, syn_reply, syn_stream};
use super::headers::{Encoder, Headers};

/// An exec with input, a terminal's size, and a question for a sign of life.
pub(crate) fn example() -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut all = Vec::new();
    for (id, kind) in [(1u32, "error"), (3, "stdin"), (5, "stdout"), (7, "resize")] {
        let block = encoder.encode(&Headers::of(&[
            ("streamtype", kind),
            ("port", "80"),
            ("requestid", "0"),
        ]));
        all.extend_from_slice(&syn_stream(id, &block));
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

/// A kubelet's answers to that: output, a status, and a question for a sign of life.
pub(crate) fn answers() -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut all = Vec::new();
    for stream in [1, 3, 5, 7] {
        all.extend_from_slice(&syn_reply(stream, &encoder.encode(&Headers::default())));
    }
    for (stream, bytes) in [(5, &b"hello"[..]), (1, br#"{"status":"Success"}"#)] {
        all.extend_from_slice(&data_head(stream, bytes.len(), false));
        all.extend_from_slice(bytes);
        all.extend_from_slice(&data_head(stream, 0, true));
    }
    all.extend_from_slice(&ping(2));
    all.extend_from_slice(&reset(7, super::frame::ResetStatus::Cancel));
    all.extend_from_slice(&go_away(7));
    all
}
