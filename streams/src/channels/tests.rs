use std::time::Duration;

use bytes::Bytes;
use tokio::io::DuplexStream;

use super::*;

async fn session(protocol: Protocol) -> (WebSocketStream<DuplexStream>, mpsc::Receiver<Input>, Output) {
    let (near, far) = tokio::io::duplex(16 << 10);
    let (input, output) = connect(far, protocol, Duration::from_secs(5));
    let client = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    (client, input, output)
}

#[tokio::test]
async fn channels_are_numbered_and_stdin_closes_alone() {
    let (mut client, mut input, output) = session(Protocol::V5).await;
    let size = br#"{"Width":80,"Height":24}{"width":100,"height":30}"#;
    let pieces: [&[u8]; 7] = [
        b"\0in",
        &[&[4], &size[..30]].concat(),
        &[&[4], &size[30..]].concat(),
        b"\x02not ours",
        b"\xff\x01",
        b"\0",
        b"\xff\0",
    ];
    for piece in pieces {
        client
            .send(Message::Binary(Bytes::copy_from_slice(piece)))
            .await
            .unwrap();
    }
    let size = |width, height| Input::Resize(Size { width, height });
    let wanted = [
        Input::Stdin(Bytes::from_static(b"in")),
        size(80, 24),
        size(100, 30),
        Input::StdinClosed,
    ];
    for item in wanted {
        assert_eq!(input.recv().await.unwrap(), item);
    }
    for (channel, number) in [(Channel::Stdout, 1), (Channel::Stderr, 2), (Channel::Error, 3)] {
        output.send(channel, Bytes::from_static(b"out")).await.unwrap();
        let message = client.next().await.unwrap().unwrap();
        assert_eq!(message, Message::binary([&[number], &b"out"[..]].concat()));
    }
    output.finish().await;
    let Some(Ok(Message::Close(Some(goodbye)))) = client.next().await else {
        panic!("no goodbye");
    };
    assert_eq!(goodbye.code, CloseCode::Normal);
}

#[tokio::test]
async fn before_version_5_nothing_closes_alone() {
    let [old, ..] = Protocol::KUBELET;
    let (mut client, mut input, output) = session(old).await;
    for piece in [&b"\xff\0"[..], b"\0in"] {
        client
            .send(Message::Binary(Bytes::copy_from_slice(piece)))
            .await
            .unwrap();
    }
    assert_eq!(
        input.recv().await.unwrap(),
        Input::Stdin(Bytes::from_static(b"in"))
    );
    drop(client);
    assert!(input.recv().await.is_none());
    tokio::time::timeout(Duration::from_secs(10), output.closed())
        .await
        .expect("a client that is gone is noticed");
    assert!(
        output
            .send(Channel::Stdout, Bytes::from_static(b"x"))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_session_that_is_dropped_says_no_goodbye() {
    let (mut client, input, output) = session(Protocol::V5).await;
    output
        .send(Channel::Stdout, Bytes::from_static(b"half"))
        .await
        .unwrap();
    drop((input, output));
    let message = client.next().await.unwrap().unwrap();
    assert_eq!(message, Message::binary(&b"\x01half"[..]));
    // A goodbye without a status would be a success.
    assert!(matches!(client.next().await, None | Some(Err(_))));
}

#[tokio::test]
async fn large_messages_come_in_pieces_and_in_order() {
    let (mut client, mut input, _output) = session(Protocol::V5).await;
    let data: Vec<u8> = (0..300_000_u32).map(|n| (n / 7) as u8).collect();
    let message = Message::binary([&[0], &data[..]].concat());
    let sending = tokio::spawn(async move {
        client.send(message).await.unwrap();
        client.send(Message::binary(&b"\xff\0"[..])).await.unwrap();
        client
    });
    let mut all = Vec::new();
    while let Some(Input::Stdin(piece)) = input.recv().await {
        assert!(piece.len() <= PIECE);
        all.extend_from_slice(&piece);
    }
    assert!(all == data);
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn a_client_whose_input_nobody_reads_gets_signs_of_life() {
    let (mut client, input, _output) = session(Protocol::V5).await;
    let message = Message::binary([&[0][..], &vec![b'x'; 256 << 10]].concat());
    client.send(message).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(client.next().await, Some(Ok(Message::Pong(_)))));
    }
    drop(input);
}
