//! `tcpSocket`.

use std::time::Duration;

use tokio::net::TcpStream;

use super::runner::Verdict;

pub(super) async fn probe(host: &str, port: u16, timeout: Duration) -> Verdict {
    match connect(host, port, timeout).await {
        Ok(_) => Verdict::Success,
        Err(error) => Verdict::Failure(error),
    }
}

/// Connects, with Go's words for what goes wrong.
pub(super) async fn connect(host: &str, port: u16, timeout: Duration) -> Result<TcpStream, String> {
    let shown = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    match tokio::time::timeout(timeout, TcpStream::connect((host, port))).await {
        Err(_) => Err(format!("dial tcp {shown}: i/o timeout")),
        Ok(Err(error)) => Err(format!("dial tcp {shown}: connect: {}", go_error(&error))),
        Ok(Ok(stream)) => Ok(stream),
    }
}

fn go_error(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
        std::io::ErrorKind::HostUnreachable => "no route to host".into(),
        std::io::ErrorKind::NetworkUnreachable => "network is unreachable".into(),
        std::io::ErrorKind::ConnectionReset => "connection reset by peer".into(),
        _ => error.to_string(),
    }
}
