//! The targets: each takes the bytes of a connection, checks what must hold whatever they are, and returns whether something
//! came through.

use std::sync::LazyLock;
use std::time::Duration;

use keelson_streams::decoders::{self, Carried};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
});

fn carried(bytes: &[u8], session: impl Future<Output = Carried>) -> bool {
    let limit = Duration::from_secs(8);
    let carried = RUNTIME.block_on(async { tokio::time::timeout(limit, session).await });
    let carried = carried.expect("a connection whose client has hung up ends");
    assert!(carried.bytes <= bytes.len(), "more came out than went in");
    carried != Carried::default()
}

/// The frames of a SPDY/3.1 connection, as a client sends them.
pub fn spdy(data: &[u8]) -> bool {
    carried(data, decoders::spdy(data))
}

/// The same as a server sends them.
pub fn spdy_client(data: &[u8]) -> bool {
    carried(data, decoders::spdy_client(data))
}

/// The messages of a tunnel.
pub fn tunnel(data: &[u8]) -> bool {
    carried(data, decoders::tunnel(data))
}

/// The frames of a WebSocket connection; the first byte chooses the protocol.
pub fn websocket(data: &[u8]) -> bool {
    let Some((protocol, frames)) = data.split_first() else {
        return false;
    };
    carried(frames, decoders::websocket(usize::from(*protocol), frames))
}
