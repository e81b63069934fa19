use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;
use tokio::io::DuplexStream;

use super::client::{Client, Got};
use super::dictionary::dictionary;
use super::frame;
use super::headers::{Decoder, Encoder, Headers};
use super::*;

fn connect() -> (Client<DuplexStream>, Connection) {
    let (io, server) = tokio::io::duplex(16 << 10);
    (Client::new(io), Connection::server(server))
}

#[tokio::test]
async fn streams_both_ways() {
    let (mut client, mut server) = connect();
    client
        .open(1, false, &[("streamtype", "data"), ("port", "80")])
        .await;
    client
        .open(3, true, &[("streamtype", "error"), ("port", "80")])
        .await;
    let mut data = server.accept().await.unwrap();
    let mut error = server.accept().await.unwrap();
    assert_eq!(
        (data.id, data.headers.get("StreamType"), data.headers.get("port")),
        (1, Some("data"), Some("80"))
    );
    assert_eq!(
        (client.get().await, client.get().await),
        (Got::Reply(1), Got::Reply(3))
    );
    assert!(error.incoming.recv().await.is_none(), "opened half-closed");

    client.data(1, b"hello", false).await;
    client.data(1, b"", true).await;
    assert_eq!(data.incoming.recv().await.unwrap(), "hello");
    assert!(data.incoming.recv().await.is_none());

    data.sender.send(Bytes::from_static(b"answer")).await.unwrap();
    data.sender.finish().await.unwrap();
    assert_eq!(client.get().await, Got::Data(1, b"answer".to_vec(), false));
    assert_eq!(client.get().await, Got::Data(1, vec![], true));

    client.control(6, 0, &7u32.to_be_bytes()).await;
    assert_eq!(client.get().await, Got::Other(6, 7u32.to_be_bytes().to_vec()));

    let closing = tokio::spawn(server.close());
    assert!(matches!(client.get().await, Got::Other(7, _)));
    assert_eq!(client.get().await, Got::End);
    drop(client);
    closing.await.unwrap();
}

#[tokio::test]
async fn large_frames_come_in_pieces_and_a_slow_consumer_holds_the_client_back() {
    let (mut client, mut server) = connect();
    client.open(1, false, &[]).await;
    let mut stream = server.accept().await.unwrap();
    let sending = tokio::spawn(async move {
        client.data(1, &vec![7; 4 << 20], true).await;
    });
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(!sending.is_finished(), "nobody consumed, but all was taken");
    let mut total = 0;
    while let Some(piece) = stream.incoming.recv().await {
        assert!(piece.len() <= frame::DATA_PIECE);
        total += piece.len();
    }
    assert_eq!(total, 4 << 20);
    sending.await.unwrap();
}

#[tokio::test]
async fn a_client_that_hangs_up_is_noticed() {
    let (mut client, mut server) = connect();
    client.open(1, false, &[]).await;
    let mut stream = server.accept().await.unwrap();
    drop(client);
    assert!(stream.incoming.recv().await.is_none());
    stream.sender.closed().await;
    assert!(server.accept().await.is_none());
    assert!(stream.sender.send(Bytes::from_static(b"x")).await.is_err());
}

#[tokio::test]
async fn hostile_frames_end_only_the_connection() {
    let syn = |id: u32, headers: &[u8]| [&id.to_be_bytes()[..], &[0; 6], headers].concat();
    let mut bomb = Vec::with_capacity(1 << 16);
    let mut packer = Compress::new(Compression::best(), true);
    packer.set_dictionary(&dictionary()).unwrap();
    packer
        .compress_vec(&vec![0; 8 << 20], &mut bomb, FlushCompress::Sync)
        .unwrap();
    bomb.truncate(20 << 10);
    let cases: Vec<(&str, u16, Vec<u8>)> = vec![
        ("short SYN_STREAM", 1, vec![0; 3]),
        ("no zlib at all", 1, syn(1, b"garbage garbage")),
        ("bomb", 1, syn(1, &bomb)),
        ("empty headers", 1, syn(1, b"")),
        ("even id", 1, syn(2, &Encoder::new().encode(&Headers::default()))),
        ("stream 0", 1, syn(0, &Encoder::new().encode(&Headers::default()))),
        ("reply", 2, vec![0; 8]),
        ("short ping", 6, vec![]),
        ("short reset", 3, vec![1]),
        ("short headers", 8, vec![1]),
    ];
    for (what, kind, body) in cases {
        let (mut client, mut server) = connect();
        client.control(kind, 0, &body).await;
        assert!(server.accept().await.is_none(), "{what}");
    }
    for raw in [
        &[0x80, 2, 0, 1, 0, 0, 0, 0][..],
        &[0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff],
        &[0; 8],
    ] {
        let (mut client, mut server) = connect();
        client.raw(raw).await;
        assert!(server.accept().await.is_none(), "{raw:?}");
    }
    // Harmless: data for an unknown stream, unknown kinds, window updates and settings.
    let (mut client, mut server) = connect();
    client.data(99, b"x", false).await;
    assert!(matches!(client.get().await, Got::Other(3, _)));
    client.control(9, 0, &[0; 8]).await;
    client.control(4, 0, &[0; 4]).await;
    client.control(77, 0, &[]).await;
    client.open(1, false, &[]).await;
    assert_eq!(server.accept().await.unwrap().id, 1);
}

#[test]
fn blocks_share_one_compression_stream() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    for n in 0..50 {
        let headers = Headers(vec![
            ("streamtype".to_owned(), "data".to_owned()),
            ("n".to_owned(), "x".repeat(n * 500)),
        ]);
        assert_eq!(decoder.decode(&encoder.encode(&headers)).unwrap(), headers);
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_is_noticed_though_nobody_reads_what_it_sent() {
    let (mut client, mut server) = connect();
    client.open(1, false, &[]).await;
    assert_eq!(client.get().await, Got::Reply(1));
    let stream = server.accept().await.unwrap();
    let sending = tokio::spawn(async move {
        // More than anybody takes: this ends with the pipe.
        let frame = [&frame::data_head(1, 4 << 20, false)[..], &vec![7; 4 << 20]].concat();
        let mut ping = [0; frame::HEAD + 4];
        tokio::select! {
            _ = tokio::io::AsyncWriteExt::write_all(&mut client.io, &frame) => panic!("somebody took all"),
            // Asked for a sign of life, the client leaves instead.
            () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {}
        }
        tokio::io::AsyncReadExt::read_exact(&mut client.io, &mut ping)
            .await
            .unwrap();
        assert_eq!(ping, [0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 2]);
    });
    sending.await.unwrap();
    stream.sender.closed().await;
    assert!(server.accept().await.is_none());
}

#[tokio::test]
async fn what_a_server_said_before_it_hung_up_is_not_lost_to_a_slow_consumer() {
    let (near, far) = tokio::io::duplex(16 << 10);
    let (mut client, mut server) = (Connection::client(near), Connection::server(far));
    let mut asked = client.open(Headers::default()).await.unwrap();
    let answered = server.accept().await.unwrap();
    // More than waits for the consumer, and less than the pipe holds.
    for _ in 0..20 {
        answered.sender.send(Bytes::from_static(b"x")).await.unwrap();
    }
    answered.sender.finish().await.unwrap();
    drop(tokio::time::timeout(std::time::Duration::from_millis(50), server.close()).await);
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    let mut count = 0;
    while asked.incoming.recv().await.is_some() {
        count += 1;
    }
    assert_eq!(count, 20);
}

#[tokio::test]
async fn both_ends_are_ours() {
    let (near, far) = tokio::io::duplex(16 << 10);
    let (mut client, mut server) = (Connection::client(near), Connection::server(far));
    let mut asked = client
        .open(Headers::of(&[("streamtype", "stdin"), ("n", "1")]))
        .await
        .unwrap();
    let mut other = client
        .open(Headers::of(&[("streamtype", "stdout")]))
        .await
        .unwrap();
    let mut stdin = server.accept().await.unwrap();
    let stdout = server.accept().await.unwrap();
    assert_eq!((stdin.id, stdout.id), (1, 3));
    assert_eq!(stdin.headers, asked.headers);
    asked.sender.send(Bytes::from_static(b"in")).await.unwrap();
    asked.sender.finish().await.unwrap();
    assert_eq!(stdin.incoming.recv().await.unwrap(), "in");
    assert!(stdin.incoming.recv().await.is_none());
    stdout.sender.send(Bytes::from_static(b"out")).await.unwrap();
    stdout.sender.finish().await.unwrap();
    assert_eq!(other.incoming.recv().await.unwrap(), "out");
    assert!(other.incoming.recv().await.is_none());
    stdin.sender.reset().await.unwrap();
    assert!(asked.incoming.recv().await.is_none(), "a reset ends the stream");

    let closing = tokio::spawn(server.close());
    other.sender.closed().await;
    let late = client.open(Headers::default()).await;
    assert!(late.is_err(), "the connection has ended");
    drop(client);
    closing.await.unwrap();
}

#[tokio::test]
async fn a_server_opens_no_streams_and_gets_no_pongs_of_its_clients_kind() {
    let (near, far) = tokio::io::duplex(16 << 10);
    // The test's client stands for a hostile server here.
    let (mut hostile, mut client) = (Client::new(far), Connection::client(near));
    let mut stream = client.open(Headers::default()).await.unwrap();
    assert!(matches!(hostile.get().await, Got::Other(1, _)));
    hostile.open(2, false, &[("streamtype", "data")]).await;
    let refused = [2u32.to_be_bytes(), 3u32.to_be_bytes()].concat();
    assert_eq!(hostile.get().await, Got::Other(3, refused));
    for id in [1u32, 2] {
        hostile.control(6, 0, &id.to_be_bytes()).await;
    }
    assert_eq!(hostile.get().await, Got::Other(6, 2u32.to_be_bytes().to_vec()));
    hostile.data(1, b"goes on", true).await;
    assert_eq!(stream.incoming.recv().await.unwrap(), "goes on");
    assert!(stream.incoming.recv().await.is_none());
    // A damaged reply ends the connection, and every stream with it.
    let mut other = client.open(Headers::default()).await.unwrap();
    hostile
        .control(2, 0, &[&3u32.to_be_bytes()[..], b"garbage garbage"].concat())
        .await;
    assert!(other.incoming.recv().await.is_none());
    other.sender.closed().await;
}

proptest! {
    #[test]
    fn any_header_block_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = Decoder::new().decode(&bytes);
        // The same, but well packed.
        let mut packed = Vec::with_capacity(4096);
        let mut packer = Compress::new(Compression::fast(), true);
        packer.set_dictionary(&dictionary()).unwrap();
        packer.compress_vec(&bytes, &mut packed, FlushCompress::Sync).unwrap();
        let _ = Decoder::new().decode(&packed);
    }

    #[test]
    fn any_frame_is_read_or_refused(head in any::<[u8; 8]>(), body in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(frame::Head::Control { kind, flags, .. }) = frame::Head::parse(head) {
            let _ = frame::Control::parse(kind, flags, &Bytes::from(body));
        }
    }
}
