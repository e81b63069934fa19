//! Exec and attach over version 5 of the WebSocket channels, which kubelets do not speak: the channels end here, and become
//! SPDY streams to the kubelet (KEP-4006; upstream's `StreamTranslatorHandler`).
//!
//! The client is answered before the kubelet is asked, so that refusals reach it through its error channel.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use keelson_api::status::{Outcome, Status};
use keelson_streams::channels::{self, Channel, Input, Output, Protocol};
use keelson_streams::spdy::{Connection, Headers, Stream, StreamSender};
use keelson_streams::upgrade::{self, STREAM_PROTOCOL};
use tokio::sync::mpsc;

use super::kubelet::{FAILURES, failure, request, words};
use super::stream::Errand;
use super::transport::{Trust, send};
use super::tunnel::speaks_spdy;
use super::upgraded::{Client, no_upgrade};
use crate::server::Api;
use crate::server::body::{Body, full};
use crate::server::call::Call;
use crate::server::metrics::Translation;

/// What is spoken over SPDY; every kubelet that is still supported knows it.
const PROTOCOL: &str = "v4.channel.k8s.io";
/// How long a client may take to read what is left and to answer the goodbye.
const LINGER: Duration = Duration::from_mins(15);
/// Longest status at the end of a session.
const MOST_STATUS: usize = 64 << 10;

/// Answers the client, whose handshake has this key, and leaves its session to a task.
pub fn serve(
    call: &Call,
    client: Option<Client>,
    key: &str,
    errand: Errand,
) -> Result<Response<Body>, Status> {
    let client = client.ok_or_else(no_upgrade)?;
    let wanted = Wanted::of(&errand);
    let api = Arc::clone(&call.api);
    // It counts as long as its session, which may outlast its connection.
    let place = client.place();
    tokio::spawn(async move {
        let _place = place;
        let io = match client.switched().await {
            Ok(switched) => switched,
            Err(error) => return tracing::debug!(%error, "upgrade"),
        };
        let (input, output) = channels::connect(io, Protocol::V5, LINGER);
        tokio::select! {
            () = session(&api, &errand, wanted, input, &output) => {}
            // Dropping the session hangs up on the kubelet, which then gives the process its own time, and ends it.
            () = parted(&output) => {}
            // Without a goodbye, which a client would take for a success.
            () = api.stopping() => {}
        }
    });
    let answer = upgrade::accept_websocket(key, Some(Protocol::V5.name));
    Ok(answer.map(|()| full(Bytes::new())))
}

/// Resolves when the client is gone and its time is over: a process that does not read its input would hold the session.
async fn parted(output: &Output) {
    output.closed().await;
    tokio::time::sleep(channels::PARTING).await;
}

/// The streams that the client has asked for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    stdin: bool,
    stdout: bool,
    stderr: bool,
    tty: bool,
}

impl Wanted {
    fn of(errand: &Errand) -> Self {
        let has = |name| errand.query.iter().any(|(own, _)| *own == name);
        let tty = has("tty");
        Self {
            stdin: has("input"),
            stdout: has("output"),
            // A terminal has one output.
            stderr: has("error") && !tty,
            tty,
        }
    }
}

/// The streams of a session.
struct Streams {
    error: Stream,
    stdin: Option<Stream>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    resize: Option<Stream>,
}

/// From the request to the kubelet to the client's goodbye.
async fn session(
    api: &Arc<Api>,
    errand: &Errand,
    wanted: Wanted,
    input: mpsc::Receiver<Input>,
    output: &Output,
) {
    // Tells the client that the session is there, as upstream. One that is gone may have sent what it wanted.
    let first = channels::first(wanted.stdout, wanted.stderr);
    let _ = output.send(first, Bytes::new()).await;
    let (connection, ended) = match open(api, errand, wanted).await {
        Ok((connection, streams)) => (Some(connection), carry(streams, input, output).await),
        Err(status) => (None, Some(Err(status))),
    };
    let Some(ended) = ended else {
        if let Some(connection) = connection {
            connection.close().await;
        }
        return;
    };
    let code = ended.as_ref().map_or_else(|status| status.code, |_| 200);
    api.metrics.translated(Translation::Channels, code);
    // A Status always serializes.
    let ended = ended.unwrap_or_else(|status| serde_json::to_vec(&status).unwrap_or_default().into());
    if output.send(Channel::Error, ended).await.is_ok() {
        output.finish().await;
    }
    if let Some(connection) = connection {
        connection.close().await;
    }
}

/// Asks the kubelet for the session and opens its streams, in upstream's order.
async fn open(api: &Arc<Api>, errand: &Errand, wanted: Wanted) -> Result<(Connection, Streams), Status> {
    let Errand { target, path, query } = errand;
    let headers = upgrade::request_spdy(&[PROTOCOL]);
    let request = request(path, query, &Method::POST, headers)?;
    let mut response = send(api, target, Trust::Cluster, request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let code = response.status();
        let text = words(response).await;
        // Our own kubelet's refusals are words; others' may be a Status.
        return Err(failure(&text, code).unwrap_or_else(|| unable(&text)));
    }
    let chosen = response.headers().get(STREAM_PROTOCOL);
    if !speaks_spdy(response.headers()) || chosen.is_none_or(|chosen| chosen != PROTOCOL) {
        return Err(unable("the kubelet speaks something else"));
    }
    let io = hyper::upgrade::on(&mut response)
        .await
        .map_err(|error| unable(&error.to_string()))?;
    let mut connection = Connection::client(TokioIo::new(io));
    let mut stream = async |wanted: bool, kind: &str| {
        if !wanted {
            return Ok(None);
        }
        let opened = connection.open(Headers::of(&[("streamtype", kind)])).await;
        opened.map(Some).map_err(|closed| unable(&closed.to_string()))
    };
    let error = stream(true, "error").await?;
    let streams = Streams {
        stdin: stream(wanted.stdin, "stdin").await?,
        stdout: stream(wanted.stdout, "stdout").await?,
        stderr: stream(wanted.stderr, "stderr").await?,
        resize: stream(wanted.tty, "resize").await?,
        error: error.ok_or_else(|| unable("no error stream"))?,
    };
    Ok((connection, streams))
}

fn unable(why: &str) -> Status {
    Status::internal(&format!("unable to upgrade connection: {why}"))
}

/// Carries data until the kubelet has ended its outputs, and returns the kubelet's own word about how it went. `None` if
/// the client went away before; all that it had sent has been passed on.
async fn carry(
    streams: Streams,
    input: mpsc::Receiver<Input>,
    output: &Output,
) -> Option<Result<Bytes, Status>> {
    let Streams {
        mut error,
        stdin,
        stdout,
        stderr,
        resize,
    } = streams;
    // What a kubelet sends on these has no reader, and is dropped.
    let sender = |stream: Option<Stream>| stream.map(|stream| stream.sender);
    let up = feed(input, sender(stdin), sender(resize));
    let down = async {
        let (status, (), ()) = tokio::join!(
            last_words(&mut error),
            forward(stdout, Channel::Stdout, output),
            forward(stderr, Channel::Stderr, output),
        );
        status
    };
    let left = async {
        tokio::join!(up, output.closed());
    };
    tokio::select! {
        status = down => Some(status),
        () = left => None,
    }
}

/// Copies an output to the client until it ends.
async fn forward(from: Option<Stream>, channel: Channel, output: &Output) {
    let Some(mut stream) = from else { return };
    while let Some(data) = stream.incoming.recv().await {
        // A client that is gone ends the session as soon as its input has been passed on.
        let _ = output.send(channel, data).await;
    }
}

/// The status that a kubelet writes at the end.
async fn last_words(error: &mut Stream) -> Result<Bytes, Status> {
    let mut text = BytesMut::new();
    while let Some(piece) = error.incoming.recv().await {
        let room = MOST_STATUS.saturating_sub(text.len()).min(piece.len());
        text.extend_from_slice(&piece[..room]);
    }
    if text.is_empty() {
        return Err(Status::internal(
            "error reading from error stream: the connection to the kubelet was lost",
        ));
    }
    match serde_json::from_slice::<Status>(&text) {
        Ok(status) if status.status == Outcome::Success || status.reason == "NonZeroExitCode" => {
            Ok(text.freeze())
        }
        Ok(mut status) => {
            status.code = Some(status.code)
                .filter(|code| FAILURES.contains(code))
                .unwrap_or(500);
            Err(status)
        }
        Err(error) => {
            let start = String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned();
            Err(Status::internal(&format!(
                "error stream protocol error: {error} in {start:?}"
            )))
        }
    }
}

/// Passes the client's input on until the client is gone, which ends stdin. A kubelet that is gone is noticed by who listens
/// to it.
async fn feed(
    mut input: mpsc::Receiver<Input>,
    mut stdin: Option<StreamSender>,
    resize: Option<StreamSender>,
) {
    while let Some(item) = input.recv().await {
        let _ = match (item, &stdin, &resize) {
            (Input::Stdin(data), Some(stdin), _) => stdin.send(data).await,
            (Input::StdinClosed, Some(open), _) => {
                let ended = open.finish().await;
                stdin = None;
                ended
            }
            (Input::Resize(size), _, Some(resize)) => {
                // Two numbers always serialize.
                let text = serde_json::to_vec(&size).unwrap_or_default();
                resize.send(text.into()).await
            }
            _ => Ok(()),
        };
    }
    if let Some(stdin) = stdin {
        let _ = stdin.finish().await;
    }
}
