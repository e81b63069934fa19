use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use proptest::prelude::*;
use serde_json::json;
use tokio::net::TcpListener;

use super::counter::Counter;
use super::runner::Verdict;
use super::target::Target;
use super::{grpc, http, tcp};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn thresholds() {
    let mut counter = Counter::new(2, 3);
    let verdicts: Vec<_> = [false, false, false, true, true, false, false, true]
        .into_iter()
        .map(|r| counter.feed(r))
        .collect();
    assert_eq!(
        verdicts,
        [None, None, Some(false), None, Some(true), None, None, None]
    );
}

#[test]
fn named_ports_and_hosts() {
    let container: Container =
        serde_json::from_value(json!({"name": "c", "ports": [{"name": "web", "containerPort": 8080}]}))
            .unwrap();
    let action = |value| serde_json::from_value::<HTTPGetAction>(value).unwrap();
    let ip = Some("10.0.0.7".parse().unwrap());
    let target = Target::http(&action(json!({"port": "web", "path": "healthz"})), &container, ip).unwrap();
    assert_eq!(target.url(), "http://10.0.0.7:8080/healthz");
    let secure = action(json!({"port": 443, "scheme": "HTTPS", "host": "::1"}));
    assert_eq!(
        Target::http(&secure, &container, ip).unwrap().url(),
        "https://[::1]:443/"
    );
    assert_eq!(
        Target::http(&action(json!({"port": "x"})), &container, ip).unwrap_err(),
        "couldn't find port: x"
    );
    assert!(Target::http(&action(json!({"port": 70000})), &container, ip).is_err());
    assert!(Target::http(&action(json!({"port": 1})), &container, None).is_err());
}

#[test]
fn redirects_stay_on_the_host() {
    let from = Target {
        tls: false,
        host: "10.0.0.7".into(),
        port: 80,
        path: "/a".into(),
        headers: vec![],
    };
    assert_eq!(http::follow(&from, "/b?c=d").unwrap().path, "/b?c=d");
    assert_eq!(
        http::follow(&from, "https://10.0.0.7/x").unwrap().url(),
        "https://10.0.0.7:443/x"
    );
    assert_eq!(http::follow(&from, "http://169.254.169.254/latest"), None);
    assert_eq!(http::follow(&from, "::not a url::"), None);
}

async fn serve_http(status: u16, location: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(
                move |request: ::http::Request<hyper::body::Incoming>| async move {
                    let first = request.uri().path() == "/";
                    let mut response = ::http::Response::builder().status(if first { status } else { 200 });
                    if let (true, Some(location)) = (first, location) {
                        response = response.header("location", location);
                    }
                    response.body(Full::new(Bytes::from_static(b"body")))
                },
            );
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    port
}

fn target(port: u16) -> Target {
    Target {
        tls: false,
        host: "127.0.0.1".into(),
        port,
        path: "/".into(),
        headers: vec![],
    }
}

#[tokio::test]
async fn http_verdicts() {
    assert_eq!(
        http::probe(&target(serve_http(204, None).await), SECOND).await,
        Verdict::Success
    );
    assert_eq!(
        http::probe(&target(serve_http(302, Some("/ok")).await), SECOND).await,
        Verdict::Success
    );
    assert_eq!(
        http::probe(&target(serve_http(302, Some("http://192.0.2.1/")).await), SECOND).await,
        Verdict::Success
    );
    let failed = http::probe(&target(serve_http(503, None).await), SECOND).await;
    assert_eq!(
        failed,
        Verdict::Failure("HTTP probe failed with statuscode: 503".into())
    );
}

#[tokio::test]
async fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let refused = format!("dial tcp 127.0.0.1:{port}: connect: connection refused");
    assert_eq!(
        tcp::probe("127.0.0.1", port, SECOND).await,
        Verdict::Failure(refused.clone())
    );
    let expected = format!("Get \"http://127.0.0.1:{port}/\": {refused}");
    assert_eq!(
        http::probe(&target(port), SECOND).await,
        Verdict::Failure(expected)
    );
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let verdict = http::probe(&target(port), Duration::from_millis(50)).await;
    assert!(matches!(verdict, Verdict::Failure(text) if text.contains("context deadline exceeded")));
    let verdict = grpc::probe("127.0.0.1".parse().unwrap(), port, "", Duration::from_millis(50)).await;
    assert!(matches!(verdict, Verdict::Failure(text) if text.contains("timeout")));
}

async fn serve_grpc(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(
                move |request: ::http::Request<hyper::body::Incoming>| async move {
                    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                    ::http::Response::builder()
                        .header("content-type", "application/grpc")
                        .body(Full::new(Bytes::from_static(answer)))
                },
            );
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    port
}

#[tokio::test]
async fn grpc_verdicts() {
    let ip = "127.0.0.1".parse().unwrap();
    let good = serve_grpc(&[0, 0, 0, 0, 2, 8, 1]).await;
    assert_eq!(grpc::probe(ip, good, "svc", SECOND).await, Verdict::Success);
    let bad = serve_grpc(&[0, 0, 0, 0, 2, 8, 2]).await;
    let expected = Verdict::Failure("service unhealthy (responded with \"NOT_SERVING\")".into());
    assert_eq!(grpc::probe(ip, bad, "", SECOND).await, expected);
}

#[test]
fn grpc_frames() {
    assert_eq!(&grpc::frame("")[..], [0, 0, 0, 0, 0]);
    assert_eq!(&grpc::frame("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
    assert_eq!(grpc::serving_status(&[0, 0, 0, 0, 0]), Some(0));
    assert_eq!(grpc::serving_status(&[0, 0, 0, 0, 2, 8]), None);
}

proptest! {
    #[test]
    fn grpc_answers_from_outside_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = grpc::serving_status(&bytes);
    }

    #[test]
    fn grpc_messages_from_outside_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut framed = vec![0];
        framed.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        framed.extend_from_slice(&bytes);
        let _ = grpc::serving_status(&framed);
    }
}
