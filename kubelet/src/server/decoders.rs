//! What clients of streams send, decoded without a process behind: the doors that fuzzing comes through (`tests/fuzz`, and
//! `fuzz/` at the top). Nothing of the server itself uses them.

use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::task::JoinSet;

use super::session::{Input, Protocol, connect_websocket};
use super::spdy::Connection;

/// What came through a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Streams that were opened, or sizes that were set.
    pub streams: usize,
    /// Bytes that a process would have read.
    pub bytes: usize,
}

/// Sends `bytes` and hangs up, reading whatever comes back meanwhile.
async fn send(client: DuplexStream, bytes: &[u8]) {
    let (mut reader, mut writer) = tokio::io::split(client);
    let back = async {
        let mut sink = tokio::io::sink();
        // The server may hang up at any time.
        let _ = tokio::io::copy(&mut reader, &mut sink).await;
    };
    let forth = async {
        let _ = writer.write_all(bytes).await;
        let _ = writer.shutdown().await;
    };
    tokio::join!(back, forth);
}

/// A connection that speaks SPDY, on which these bytes come.
pub async fn spdy(bytes: &[u8]) -> Carried {
    let (client, server) = tokio::io::duplex(16 << 10);
    let mut connection = Connection::new(server);
    let serve = async {
        let mut carried = Carried::default();
        let mut readers = JoinSet::new();
        while let Some(mut stream) = connection.accept().await {
            carried.streams += 1;
            let _ = (stream.headers.get("streamtype"), stream.headers.get("port"));
            readers.spawn(async move {
                let mut bytes = 0;
                while let Some(data) = stream.incoming.recv().await {
                    bytes += data.len();
                }
                let _ = stream.sender.finish().await;
                bytes
            });
        }
        while let Some(read) = readers.join_next().await {
            carried.bytes += read.unwrap_or_default();
        }
        drop(connection);
        carried
    };
    tokio::join!(serve, send(client, bytes)).0
}

/// An exec session over WebSocket after its handshake, in one of the protocols, on which these bytes come.
pub async fn websocket(protocol: usize, bytes: &[u8]) -> Carried {
    let (client, server) = tokio::io::duplex(16 << 10);
    let mut session = connect_websocket(server, Protocol::ALL[protocol % Protocol::ALL.len()]);
    let serve = async {
        let mut carried = Carried::default();
        while let Some(input) = session.next().await {
            match input {
                Input::Stdin(bytes) => carried.bytes += bytes.len(),
                Input::Resize { .. } => carried.streams += 1,
                Input::StdinClosed => {}
            }
        }
        drop(session);
        carried
    };
    tokio::join!(serve, send(client, bytes)).0
}

/// What a client as kubectl sends over SPDY: an exec with input, a terminal's size, a question for a sign of life.
pub fn spdy_example() -> Vec<u8> {
    super::spdy::example()
}
