//! Pairs of SPDY streams: for each forwarded connection one for data and one for an error, which name their port
//! and share a request id.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use keelson_streams::spdy::{Connection, Stream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::copy;
use super::dial::Dialer;

/// How long the second stream of a pair may take (upstream's DefaultStreamCreationTimeout).
const CREATION: Duration = Duration::from_secs(30);
/// Pairs that wait for their second stream.
const WAITING: usize = 64;

/// The first stream of a pair.
struct Half {
    stream: Stream,
    since: Instant,
}

/// Serves a connection until the client hangs up.
pub(super) async fn serve(mut connection: Connection, dialer: Dialer) {
    let mut waiting: HashMap<String, Half> = HashMap::new();
    let mut forwards = JoinSet::new();
    loop {
        let stream = tokio::select! {
            stream = connection.accept() => match stream {
                Some(stream) => stream,
                None => break,
            },
            Some(_) = forwards.join_next() => continue,
        };
        waiting.retain(|_, half| half.since.elapsed() < CREATION);
        let Some((port, is_data)) = describe(&stream) else {
            let _ = stream.sender.reset().await;
            continue;
        };
        let id = request_id(&stream, is_data);
        match waiting.remove(&id) {
            Some(half) if describe(&half.stream).is_some_and(|(_, other)| other != is_data) => {
                let (data, error) = if is_data {
                    (stream, half.stream)
                } else {
                    (half.stream, stream)
                };
                forwards.spawn(forward(data, error, port, dialer.clone()));
            }
            // Twice the same kind.
            Some(half) => {
                let _ = half.stream.sender.reset().await;
                let _ = stream.sender.reset().await;
            }
            None if waiting.len() >= WAITING => {
                let _ = stream.sender.reset().await;
            }
            None => {
                waiting.insert(
                    id,
                    Half {
                        stream,
                        since: Instant::now(),
                    },
                );
            }
        }
    }
    // Their client is gone; dropping the set ends them.
}

/// Port and kind of a stream; `None` if its headers do not say.
fn describe(stream: &Stream) -> Option<(u16, bool)> {
    let port = stream
        .headers
        .get("port")?
        .parse()
        .ok()
        .filter(|port| *port > 0)?;
    match stream.headers.get("streamtype")? {
        "data" => Some((port, true)),
        "error" => Some((port, false)),
        _ => None,
    }
}

/// The request's id. Clients before 1.2 send none, and open the error stream right before the data stream.
fn request_id(stream: &Stream, is_data: bool) -> String {
    match stream.headers.get("requestid") {
        Some(id) => id.to_owned(),
        None if is_data => format!("stream {}", stream.id.wrapping_sub(2)),
        None => format!("stream {}", stream.id),
    }
}

async fn forward(data: Stream, error: Stream, port: u16, dialer: Dialer) {
    let Stream { incoming, sender, .. } = data;
    let connected = tokio::select! {
        connected = dialer.connect(port) => connected,
        () = sender.closed() => return,
    };
    match connected {
        Ok(target) => {
            let send = async |data: Bytes| sender.send(data).await.is_ok();
            tokio::select! {
                copied = copy(target, incoming, send) => if let Err(cause) = copied {
                    // The pod reset the connection: the client sees its end, and goes on with others.
                    tracing::debug!(%cause, port, "forwarded connection ends");
                },
                () = sender.closed() => return,
            }
        }
        Err(words) => {
            let _ = error.sender.send(Bytes::from(words)).await;
        }
    }
    let _ = sender.finish().await;
    let _ = error.sender.finish().await;
}
