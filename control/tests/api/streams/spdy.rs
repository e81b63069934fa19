//! What a kubelet's SPDY does, by the words of the command: `command=spdy&command=WHAT`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use keelson_streams::spdy::{Connection, Stream};
use keelson_streams::upgrade::{self, Upgrade};
use tokio::io::AsyncWriteExt;

/// Sessions that `hang` and whose client has gone away.
pub static GONE: AtomicUsize = AtomicUsize::new(0);

/// How much those that only `listen` have read, to the end of their input.
pub static HEARD: AtomicUsize = AtomicUsize::new(0);

/// Lets those that are `deaf`, which do not read their input, come to their end.
pub static DEAF_MAY_END: AtomicBool = AtomicBool::new(false);
/// Forwarded connections that have ended in order.
pub static PORTS_ENDED: AtomicUsize = AtomicUsize::new(0);

const EXIT: &[u8] = br#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: exit status 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
const SUCCESS: &[u8] = br#"{"metadata":{},"status":"Success"}"#;
const FAILED: &[u8] = br#"{"metadata":{},"status":"Failure","message":"Internal error occurred: no such program","reason":"InternalError","code":500}"#;

fn refuse(code: StatusCode, words: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(words));
    *answer.status_mut() = code;
    answer
}

/// Serves a request for one of the sessions, or for a port; `None` if it is for something else.
pub fn answer(request: &mut Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    let uri = request.uri().to_string();
    if uri.starts_with("/portForward/") {
        return port(request, &uri);
    }
    let (_, what) = uri.split_once("command=spdy&command=")?;
    let what = what.to_owned();
    let Ok(Upgrade::Spdy { protocols }) = Upgrade::parse(request.headers()) else {
        return Some(refuse(StatusCode::BAD_REQUEST, "SPDY or nothing"));
    };
    assert_eq!(protocols, ["v4.channel.k8s.io"]);
    assert!(
        !request
            .headers()
            .keys()
            .any(|name| name.as_str().starts_with("sec-websocket"))
    );
    match what.as_str() {
        "refuse" => {
            return Some(refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "container not found (\"c\")",
            ));
        }
        "odd" => return Some(upgrade::accept_spdy("v1.channel.k8s.io").map(|()| Full::default())),
        _ => {}
    }
    let wanted = 1 + ["input=1", "output=1", "error=1"]
        .iter()
        .filter(|name| uri.contains(**name))
        .count();
    let io = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let mut connection = Connection::server(TokioIo::new(io.await.unwrap()));
        let mut streams = Vec::new();
        // With a terminal, its size instead of stderr.
        for _ in 0..wanted {
            streams.push(connection.accept().await.unwrap());
        }
        run(&what, streams).await;
        if what != "vanish" {
            connection.close().await;
        }
    });
    Some(upgrade::accept_spdy("v4.channel.k8s.io").map(|()| Full::default()))
}

/// A port: says what was asked, then sends everything back.
fn port(request: &mut Request<Incoming>, uri: &str) -> Option<Response<Full<Bytes>>> {
    let Ok(Upgrade::Spdy { protocols }) = Upgrade::parse(request.headers()) else {
        return Some(refuse(StatusCode::BAD_REQUEST, "SPDY or nothing"));
    };
    if protocols != ["portforward.k8s.io"] {
        // Not by way of a tunnel.
        return None;
    }
    let mut answer = upgrade::accept_spdy("portforward.k8s.io").map(|()| Full::default());
    match uri.split_once('=') {
        Some((_, "81")) => return Some(refuse(StatusCode::FORBIDDEN, "not this port")),
        Some((_, "82")) => {
            let other = HeaderValue::from_static("h2c");
            answer.headers_mut().insert("upgrade", other);
        }
        _ => {}
    }
    let asked = format!("{} {uri} {protocols:?}\n", request.method());
    let io = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(TokioIo::new(io.await.unwrap()));
        write.write_all(asked.as_bytes()).await.unwrap();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
        write.shutdown().await.unwrap();
        PORTS_ENDED.fetch_add(1, SeqCst);
    });
    Some(answer)
}

async fn run(what: &str, mut streams: Vec<Stream>) {
    let kinds: Vec<&str> = streams
        .iter()
        .map(|stream| stream.headers.get("streamtype").unwrap())
        .collect();
    let place = |kind: &str| kinds.iter().position(|own| *own == kind);
    let (error, stdin, stdout) = (place("error").unwrap(), place("stdin"), place("stdout").unwrap());
    let (stderr, resize) = (place("stderr"), place("resize"));
    let to = |stream: usize| streams[stream].sender.clone();
    let (error, stdout) = (to(error), to(stdout));
    let stderr = stderr.map(to);
    let mut status = SUCCESS;
    match what {
        "cat" => {
            let stdin = &mut streams[stdin.unwrap()];
            while let Some(data) = stdin.incoming.recv().await {
                stdout.send(data).await.unwrap();
            }
            stdout.send(Bytes::from_static(b"end of input")).await.unwrap();
            let stderr = stderr.as_ref().unwrap();
            stderr.send(Bytes::from_static(b"said aside")).await.unwrap();
            status = EXIT;
        }
        "size" => {
            let size = streams[resize.unwrap()].incoming.recv().await.unwrap();
            stdout.send(size).await.unwrap();
        }
        "fail" => status = FAILED,
        "garbage" => status = b"nothing that was ever a status",
        "hang" => {
            stdout.send(Bytes::from_static(b"running")).await.unwrap();
            stdout.closed().await;
            GONE.fetch_add(1, SeqCst);
            return;
        }
        "deaf" => {
            stdout.send(Bytes::from_static(b"running")).await.unwrap();
            while !DEAF_MAY_END.load(SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stdout.send(Bytes::from_static(b"heard nothing")).await.unwrap();
        }
        "listen" => {
            let stdin = &mut streams[stdin.unwrap()];
            let mut heard = 0;
            while let Some(data) = stdin.incoming.recv().await {
                heard += data.len();
            }
            HEARD.fetch_add(heard, SeqCst);
        }
        "vanish" => return,
        other => panic!("{other}"),
    }
    error.send(Bytes::from_static(status)).await.unwrap();
    for sender in [Some(stdout), stderr, Some(error)].into_iter().flatten() {
        sender.finish().await.unwrap();
    }
}
