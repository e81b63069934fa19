//! A server in etcd's place that answers as the test says: what a real etcd does once in a year.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;

use super::super::proto::{RangeRequest, RangeResponse, ResponseHeader, WatchResponse};

/// An answer.
pub enum Answer {
    /// This message.
    Message(Vec<u8>),
    /// A status and its message.
    Status(u32, &'static str),
    /// None, and the connection stays.
    Nothing,
}

impl Answer {
    pub fn of(message: &impl Message) -> Self {
        Self::Message(message.encode_to_vec())
    }
}

/// Answers a request of a method ("Range").
type Script = dyn Fn(&str, &[u8]) -> Option<Answer> + Send + Sync;

/// The server.
pub struct Fake {
    url: String,
    /// The methods that were called.
    calls: Arc<Mutex<Vec<String>>>,
    _runtime: tokio::runtime::Runtime,
}

/// The header of an etcd that is at this revision.
pub fn at(revision: i64) -> ResponseHeader {
    ResponseHeader { revision }
}

impl Fake {
    /// An empty etcd at revision 1, but for what the script answers.
    pub fn start(script: impl Fn(&str, &[u8]) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (calls, script): (Arc<Mutex<Vec<String>>>, Arc<Script>) = (Arc::default(), Arc::new(script));
        let noted = Arc::clone(&calls);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, calls) = (Arc::clone(&script), Arc::clone(&noted));
                let service = hyper::service::service_fn(move |request| {
                    answer(Arc::clone(&script), Arc::clone(&calls), request)
                });
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        Self {
            url,
            calls,
            _runtime: runtime,
        }
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// How often a method was called.
    pub fn called(&self, method: &str) -> usize {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| *call == method).count()
    }
}

/// A message as gRPC frames it.
fn framed(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(message.len() as u32);
    bytes.put_slice(message);
    bytes.freeze()
}

async fn answer(
    script: Arc<Script>,
    calls: Arc<Mutex<Vec<String>>>,
    request: http::Request<Incoming>,
) -> Result<http::Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
    calls.lock().unwrap().push(method.clone());
    let is_watch = method == "Watch";
    let mut body = request.into_body();
    let mut bytes = VecDeque::new();
    // The requests of a watch do not end.
    while let Some(Ok(frame)) = body.frame().await {
        bytes.extend(frame.into_data().unwrap_or_default());
        if is_watch {
            break;
        }
    }
    let bytes: Vec<u8> = bytes.into_iter().skip(5).collect();
    let answer = script(&method, &bytes).unwrap_or_else(|| match method.as_str() {
        "Watch" => Answer::of(&WatchResponse::default()),
        "Range" => Answer::of(&RangeResponse {
            header: Some(at(1)),
            ..RangeResponse::default()
        }),
        _ => Answer::Status(12, "not in this etcd"),
    });
    let response = http::Response::builder().header("content-type", "application/grpc");
    let (response, frames) = match answer {
        Answer::Message(message) => {
            let mut ok = http::HeaderMap::new();
            ok.insert("grpc-status", "0".parse().unwrap());
            let trailers = (!is_watch).then(|| Frame::trailers(ok));
            let frames = std::iter::once(Frame::data(framed(&message))).chain(trailers);
            (response, frames.collect::<Vec<_>>())
        }
        Answer::Status(code, message) => {
            let response = response
                .header("grpc-status", code)
                .header("grpc-message", message);
            (response, Vec::new())
        }
        Answer::Nothing => std::future::pending().await,
    };
    let frames = futures::stream::iter(frames.into_iter().map(Ok));
    let rest = if is_watch {
        futures::stream::pending().left_stream()
    } else {
        futures::stream::empty().right_stream()
    };
    // The body is kept: a watch whose requests ended would be over.
    let kept = futures::stream::once(async move { drop(body) }).filter_map(|()| std::future::ready(None));
    let body = StreamBody::new(frames.chain(rest).chain(kept));
    Ok(response.body(body).unwrap())
}

/// A request's message.
pub fn range(bytes: &[u8]) -> RangeRequest {
    RangeRequest::decode(bytes).unwrap()
}
