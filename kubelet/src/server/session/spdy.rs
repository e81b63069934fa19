//! Channels over SPDY streams: `v4.channel.k8s.io`. Its ancestors, without resizes or with plain-text errors, no supported
//! client speaks any more.

use std::time::Duration;

use keelson_streams::channels::{Input, Resizes};
use keelson_streams::spdy::{Connection, Stream, StreamSender};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::client::{Client, Output};
use crate::server::query::Streams;

/// How long a client may take to open its streams (upstream's DefaultStreamCreationTimeout).
const CREATION: Duration = Duration::from_secs(30);

/// The name in `X-Stream-Protocol-Version`.
pub(in crate::server) const PROTOCOL: &str = "v4.channel.k8s.io";
/// What waits to be written to the process; further input is not read from the client.
const INPUT: usize = 8;

/// What must outlive a session's client.
pub(in crate::server) struct Link {
    connection: Connection,
    inputs: JoinSet<()>,
}

impl Link {
    /// Ends the connection after the session.
    pub(in crate::server) async fn close(mut self) {
        self.inputs.abort_all();
        self.connection.close().await;
    }
}

/// Waits for the streams that the request announced. `None` if they do not come.
pub(in crate::server) async fn connect(
    mut connection: Connection,
    wanted: Streams,
) -> Option<(Client, Link)> {
    let wait = accept(&mut connection, wanted);
    let opened = tokio::time::timeout(CREATION, wait).await.ok()??;
    let (to_process, input) = mpsc::channel(INPUT);
    let mut inputs = JoinSet::new();
    if let Some(mut stdin) = opened.stdin {
        let to_process = to_process.clone();
        inputs.spawn(async move {
            while let Some(data) = stdin.incoming.recv().await {
                if to_process.send(Input::Stdin(data)).await.is_err() {
                    return;
                }
            }
            let _ = to_process.send(Input::StdinClosed).await;
        });
    }
    if let Some(mut resize) = opened.resize {
        inputs.spawn(async move {
            let mut resizes = Resizes::default();
            while let Some(data) = resize.incoming.recv().await {
                for size in resizes.push(&data) {
                    if to_process.send(Input::Resize(size)).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
    let sender = |stream: Option<Stream>| stream.map(|stream| stream.sender);
    let output = Output::Spdy {
        stdout: sender(opened.stdout),
        stderr: sender(opened.stderr),
        error: opened.error,
    };
    Some((Client { input, output }, Link { connection, inputs }))
}

struct Opened {
    error: StreamSender,
    stdin: Option<Stream>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    resize: Option<Stream>,
}

/// Collects streams until all that the request named are there.
async fn accept(connection: &mut Connection, wanted: Streams) -> Option<Opened> {
    let (mut error, mut stdin, mut stdout, mut stderr, mut resize) = (None, None, None, None, None);
    loop {
        let stream = connection.accept().await?;
        let slot = match stream.headers.get("streamtype") {
            Some("error") => &mut error,
            Some("stdin") => &mut stdin,
            Some("stdout") => &mut stdout,
            Some("stderr") => &mut stderr,
            Some("resize") => &mut resize,
            _ => {
                let _ = stream.sender.reset().await;
                continue;
            }
        };
        *slot = Some(stream);
        let complete = error.is_some()
            && stdin.is_some() >= wanted.stdin
            && stdout.is_some() >= wanted.stdout
            && stderr.is_some() >= wanted.stderr
            && resize.is_some() >= wanted.tty;
        if complete {
            break;
        }
    }
    Some(Opened {
        error: error?.sender,
        stdin,
        stdout,
        stderr,
        resize,
    })
}
