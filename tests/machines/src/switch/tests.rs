//! The switch, with this process in the place of machines.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::*;

fn frame(to: u8, from: u8, payload: &[u8]) -> Vec<u8> {
    let bytes = [&[to; 6], &[from; 6], payload].concat();
    [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat()
}

fn connect(port: &Port) -> UnixStream {
    let stream = UnixStream::connect(port.path()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn receive(from: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    from.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut bytes).unwrap();
    bytes[12..].to_vec()
}

#[test]
fn links_are_cut_restored_and_slow() {
    let (_switch, ports) = Switch::new(3).unwrap();
    let (mut a, mut b, mut c) = (connect(&ports[0]), connect(&ports[1]), connect(&ports[2]));
    // A port is known to the switch once it has sent.
    c.write_all(&frame(255, 6, b"here")).unwrap();
    assert_eq!(receive(&mut a), b"here");
    assert_eq!(receive(&mut b), b"here");
    ports[1].cut();
    a.write_all(&frame(255, 2, b"lost")).unwrap();
    assert_eq!(receive(&mut c), b"lost");
    ports[1].restore();
    a.write_all(&frame(255, 2, b"found")).unwrap();
    assert_eq!(receive(&mut b), b"found");
    assert_eq!(receive(&mut c), b"found");
    ports[0].delay(Duration::from_millis(80));
    let start = Instant::now();
    b.write_all(&frame(2, 4, b"slow")).unwrap();
    assert_eq!(receive(&mut a), b"slow");
    assert!(start.elapsed() >= Duration::from_millis(80));
    // Unicast went to its receiver alone.
    b.write_all(&frame(6, 4, b"next")).unwrap();
    assert_eq!(receive(&mut c), b"next");
}

#[test]
fn a_machine_may_come_again() {
    let (_switch, ports) = Switch::new(2).unwrap();
    let (mut a, b) = (connect(&ports[0]), connect(&ports[1]));
    drop(b);
    let mut b = connect(&ports[1]);
    b.write_all(&frame(255, 4, b"again")).unwrap();
    assert_eq!(receive(&mut a), b"again");
    a.write_all(&frame(4, 2, b"welcome")).unwrap();
    assert_eq!(receive(&mut b), b"welcome");
}
