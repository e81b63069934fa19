//! `grpc`: the health checking protocol (`grpc.health.v1.Health/Check`) over HTTP/2 without TLS.
//!
//! Its two messages are a string and an enumeration, so they are written and read by hand here.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::runner::Verdict;
use super::tcp;

/// `HealthCheckResponse.ServingStatus`.
const SERVING: u64 = 1;
const NAMES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
/// Most bytes taken of an answer that should have seven.
const ANSWER_LIMIT: usize = 64 << 10;

pub(super) async fn probe(ip: IpAddr, port: u16, service: &str, timeout: Duration) -> Verdict {
    match tokio::time::timeout(timeout, check(ip, port, service, timeout)).await {
        Ok(Ok(SERVING)) => Verdict::Success,
        Ok(Ok(status)) => {
            let name = NAMES.get(status as usize).copied().unwrap_or("UNKNOWN");
            Verdict::Failure(format!("service unhealthy (responded with \"{name}\")"))
        }
        Ok(Err(error)) => Verdict::Failure(error),
        Err(_) => Verdict::Failure(format!(
            "timeout: failed to connect service \"{ip}:{port}\" within {}s: context deadline exceeded",
            timeout.as_secs()
        )),
    }
}

async fn check(ip: IpAddr, port: u16, service: &str, timeout: Duration) -> Result<u64, String> {
    let stream = tcp::connect(&ip.to_string(), port, timeout).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
    let authority = std::net::SocketAddr::new(ip, port);
    let request = http::Request::post(format!("http://{authority}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "kube-probe/1.33")
        .body(Full::new(frame(service)))
        .map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        if let Some(problem) = grpc_error(response.headers()) {
            return Err(problem);
        }
        let body = Limited::new(response.into_body(), ANSWER_LIMIT);
        let body = body.collect().await.map_err(|error| error.to_string())?;
        if let Some(problem) = body.trailers().and_then(grpc_error) {
            return Err(problem);
        }
        serving_status(&body.to_bytes()).ok_or_else(|| "malformed health check answer".to_owned())
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        biased;
        result = &mut exchange => result,
        ended = connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(error.to_string()),
        },
    }
}

/// An error that stands in headers or trailers.
fn grpc_error(headers: &http::HeaderMap) -> Option<String> {
    let status = headers.get("grpc-status")?.to_str().ok()?;
    if status == "0" {
        return None;
    }
    let message = headers
        .get("grpc-message")
        .and_then(|m| m.to_str().ok())
        .unwrap_or_default();
    // 12 is UNIMPLEMENTED.
    Some(if status == "12" {
        "this server does not implement the grpc health protocol (grpc.health.v1.Health)".to_owned()
    } else {
        format!("health rpc probe failed: rpc error: code = {status} desc = {message}")
    })
}

/// `HealthCheckRequest { service }` in a length-prefixed, uncompressed frame.
pub(super) fn frame(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        // Field 1, length-delimited.
        message.push(0x0a);
        varint(service.len() as u64, &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(&message);
    framed.into()
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// `HealthCheckResponse.status` of a frame; 0 where the field is absent. `None` if it does not parse.
pub(super) fn serving_status(frame: &[u8]) -> Option<u64> {
    let (&compressed, rest) = frame.split_first()?;
    let (length, message) = rest.split_first_chunk::<4>()?;
    if compressed != 0 || u32::from_be_bytes(*length) as usize != message.len() {
        return None;
    }
    let mut message = message;
    let mut status = 0;
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        match (key >> 3, key & 7) {
            (1, 0) => status = take_varint(&mut message)?,
            (_, 0) => drop(take_varint(&mut message)?),
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
