//! What the other ends of streams send, decoded without a process behind: the doors that fuzzing comes through (`tests/fuzz`,
//! and `fuzz/` at the top). Nothing of the servers uses them.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinSet;

use crate::channels::{self, Input, Protocol};
use crate::spdy::{Connection, Headers};
use crate::tunnel::Tunnel;

/// How long a goodbye may take.
const LINGER: Duration = Duration::from_secs(5);

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
    let mut connection = Connection::server(server);
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

/// The client's end of a connection that speaks SPDY, with the streams of an exec, on which these bytes come.
pub async fn spdy_client(bytes: &[u8]) -> Carried {
    let (server, client) = tokio::io::duplex(16 << 10);
    let mut connection = Connection::client(client);
    let listen = async {
        let mut carried = Carried::default();
        let mut readers = JoinSet::new();
        for kind in ["error", "stdin", "stdout", "resize"] {
            let Ok(mut stream) = connection.open(Headers::of(&[("streamtype", kind)])).await else {
                break;
            };
            readers.spawn(async move {
                let mut bytes = 0;
                while let Some(data) = stream.incoming.recv().await {
                    bytes += data.len();
                }
                bytes
            });
        }
        while let Some(read) = readers.join_next().await {
            carried.bytes += read.unwrap_or_default();
        }
        drop(connection);
        carried
    };
    tokio::join!(listen, send(server, bytes)).0
}

/// An exec session over WebSocket after its handshake, in one of the protocols, on which these bytes come.
pub async fn websocket(protocol: usize, bytes: &[u8]) -> Carried {
    let [a, b, c, d] = Protocol::KUBELET;
    let protocols = [a, b, c, d, Protocol::V5];
    let (client, server) = tokio::io::duplex(16 << 10);
    let (mut input, output) = channels::connect(server, protocols[protocol % protocols.len()], LINGER);
    let serve = async {
        let mut carried = Carried::default();
        while let Some(input) = input.recv().await {
            match input {
                Input::Stdin(bytes) => carried.bytes += bytes.len(),
                Input::Resize(_) => carried.streams += 1,
                Input::StdinClosed => {}
            }
        }
        drop(output);
        carried
    };
    tokio::join!(serve, send(client, bytes)).0
}

/// A tunnel after its handshake, on which these bytes come.
pub async fn tunnel(bytes: &[u8]) -> Carried {
    let (client, server) = tokio::io::duplex(16 << 10);
    let serve = async {
        let mut tunnel = Tunnel::new(server).await;
        let mut all = Vec::new();
        let _ = tunnel.read_to_end(&mut all).await;
        Carried {
            streams: 0,
            bytes: all.len(),
        }
    };
    tokio::join!(serve, send(client, bytes)).0
}

/// What a client as kubectl sends over SPDY: an exec with input, a terminal's size, a question for a sign of life.
pub fn spdy_example() -> Vec<u8> {
    crate::spdy::example()
}

/// What a kubelet answers to it.
pub fn spdy_answers() -> Vec<u8> {
    crate::spdy::answers()
}
