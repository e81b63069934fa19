//! Hostile input, by mutation: the frames of exec, attach and port-forward, changed at random for some seconds each. The
//! targets are those of `fuzz/` at the top, where libFuzzer drives them. See `control/tests/fuzz` for how it is set.

// One driver for all crates that are fuzzed.
#[path = "../../../runtime/tests/fuzz/driver.rs"]
mod driver;
#[path = "../../../runtime/tests/fuzz/random.rs"]
mod random;

mod targets;

use keelson_streams::decoders;

use random::Random;

fn mutate(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = random.pick(corpus).clone();
    if random.once_in(4) {
        // What comes after the end.
        let other: &Vec<u8> = random.pick(corpus);
        bytes.extend_from_slice(other);
    }
    random::bytes(random, &mut bytes, corpus);
    bytes
}

#[test]
fn spdy() {
    let seeds = vec![decoders::spdy_example()];
    driver::run("spdy", seeds, <[u8]>::to_vec, mutate, targets::spdy);
}

#[test]
fn spdy_client() {
    let seeds = vec![decoders::spdy_answers()];
    driver::run("spdy_client", seeds, <[u8]>::to_vec, mutate, targets::spdy_client);
}

/// A message of a client: its mask is zero, so that its bytes stand as they are.
fn message(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | kind];
    match bytes.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        long => {
            // The length follows in two bytes (RFC 6455, section 5.2).
            frame.push(0x80 | 0x7e);
            frame.extend_from_slice(&(long as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(bytes);
    frame
}

#[test]
fn websocket() {
    let session = |protocol: u8, text: bool| {
        let kind = if text { 1 } else { 2 };
        let stdin: &[u8] = if text { b"0aGVsbG8=" } else { b"\0hello" };
        let size: &[u8] = if text {
            b"4eyJXaWR0aCI6ODAsIkhlaWdodCI6MjR9"
        } else {
            b"\x04{\"Width\":80,\"Height\":24}"
        };
        [
            vec![protocol],
            message(kind, stdin),
            message(kind, size),
            message(9, b"ping"),
            message(kind, &[&stdin[..1], &[b'A'; 300]].concat()),
            message(2, &[255, 0]),
            message(8, &1000u16.to_be_bytes()),
        ]
        .concat()
    };
    let seeds = vec![session(0, false), session(1, false), session(2, true)];
    driver::run("websocket", seeds, <[u8]>::to_vec, mutate, targets::websocket);
}

#[test]
fn tunnel() {
    let said = decoders::spdy_example();
    let (first, rest) = said.split_at(said.len() / 2);
    let seed = [
        message(2, first),
        message(9, b"ping"),
        message(2, rest),
        message(8, &1000u16.to_be_bytes()),
    ];
    driver::run(
        "tunnel",
        vec![seed.concat()],
        <[u8]>::to_vec,
        mutate,
        targets::tunnel,
    );
}
