use super::*;

/// A signal or reply as another side would send it.
fn made(kind: u8, body: &Writer, signature: &str) -> Vec<u8> {
    let call = Call {
        destination: ":1.5",
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member: "JobRemoved",
        signature,
    };
    let mut bytes = call.message(7, &body.0);
    bytes[1] = kind;
    bytes
}

fn job_removed() -> Vec<u8> {
    let mut body = Writer::default();
    body.u32(12);
    body.text("/job/12");
    body.text("a.scope");
    body.text("done");
    made(4, &body, "uoss")
}

#[test]
fn there_and_back() {
    let bytes = job_removed();
    assert_eq!(length(bytes[..FIXED].try_into().unwrap()).unwrap(), bytes.len());
    let message = Incoming::parse(&bytes).unwrap();
    assert_eq!((message.kind, message.member.as_str()), (4, "JobRemoved"));
    assert_eq!(message.arguments().unwrap(), ["12", "/job/12", "a.scope", "done"]);
}

#[test]
fn properties() {
    let mut w = Writer::default();
    w.properties(&[
        ("A".to_owned(), Value::U64(5)),
        ("B".to_owned(), Value::Texts(vec!["x".to_owned()])),
    ]);
    // length, padding to 8, then: "A", signature "t", padding, 5; "B", signature "as", array
    let mut expected = vec![
        50, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, b'A', 0, 1, b't', 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    expected.extend([5, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([
        1, 0, 0, 0, b'B', 0, 2, b'a', b's', 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, b'x', 0,
    ]);
    expected[0] = (expected.len() - 8) as u8;
    assert_eq!(w.0, expected);
}

#[test]
fn hostile() {
    let good = job_removed();
    for end in 0..good.len() {
        assert!(Incoming::parse(&good[..end]).is_err());
    }
    // No byte, whatever it becomes, leads to anything but a message or an error.
    for at in 0..good.len() {
        for value in [0, 1, 4, 0x7f, 0x80, 0xff, b'v', b'a'] {
            let mut bad = good.clone();
            bad[at] = value;
            if let Ok(message) = Incoming::parse(&bad) {
                let _ = message.arguments();
            }
        }
    }
    let mut huge = good;
    huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(length(huge[..FIXED].try_into().unwrap()).is_err());
}

proptest::proptest! {
    #[test]
    fn any_bytes(mut bytes in proptest::collection::vec(0u8.., 0..200)) {
        let _ = Incoming::parse(&bytes);
        if bytes.len() > FIXED {
            // With the lengths right, so that the inner parts are reached.
            bytes[0] = b'l';
            let body = (bytes.len() - FIXED) as u32 / 2;
            let fields = (bytes.len() - FIXED) as u32 - body;
            bytes[4..8].copy_from_slice(&body.to_le_bytes());
            bytes[12..16].copy_from_slice(&fields.to_le_bytes());
            if let Ok(message) = Incoming::parse(&bytes) {
                let _ = message.arguments();
            }
        }
    }
}
