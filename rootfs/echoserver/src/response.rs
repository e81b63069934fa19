//! The answer.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{IpAddr, TcpStream};

use super::request::Request;

/// Head and body of the answer to a request.
pub fn answer(request: &Request, client: IpAddr, port: u16, host: &str) -> Vec<u8> {
    let body = body(request, client, port, host);
    let connection = if request.keep_alive { "keep-alive" } else { "close" };
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    // The answer to HEAD says how long the body would be, and has none.
    if request.method != "HEAD" {
        answer.extend_from_slice(&body);
    }
    answer
}

fn body(request: &Request, client: IpAddr, port: u16, host: &str) -> Vec<u8> {
    let (path, query) = match request.target.split_once('?') {
        Some((path, query)) => (path, query),
        None => (request.target.as_str(), "nil"),
    };
    let authority = request.header("host").unwrap_or("localhost");
    let name = authority.rsplit_once(':').map_or(authority, |(name, port)| {
        if port.bytes().all(|b| b.is_ascii_digit()) {
            name
        } else {
            authority
        }
    });
    let mut text = format!(
        "Hostname: {host}\n\n\
         CLIENT VALUES:\n\
         client_address={client}\n\
         command={}\n\
         real path={path}\n\
         query={query}\n\
         request_version={}\n\
         request_uri=http://{name}:{port}{}\n\n\
         SERVER VALUES:\n\
         server_version=keelson-echoserver {}\n\n\
         HEADERS RECEIVED:\n",
        request.method,
        request.version,
        request.target,
        env!("CARGO_PKG_VERSION"),
    );
    let mut headers: Vec<_> = request.headers.iter().collect();
    headers.sort();
    for (name, value) in headers {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}={value}");
    }
    text.push_str("BODY:\n");
    let mut bytes = text.into_bytes();
    if request.body.is_empty() {
        bytes.extend_from_slice(b"-no body in request-");
    } else {
        bytes.extend_from_slice(&request.body);
    }
    bytes
}

/// A bare status, after which the connection is closed.
pub fn refuse(mut stream: &TcpStream, status: &str) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_was_asked() {
        let request = Request {
            method: "POST".to_owned(),
            target: "/a?b=c".to_owned(),
            version: "1.1".to_owned(),
            headers: vec![
                ("host".to_owned(), "example:30000".to_owned()),
                ("accept".to_owned(), "*/*".to_owned()),
            ],
            body: b"hello".to_vec(),
            keep_alive: true,
        };
        let text = String::from_utf8(answer(&request, "10.0.0.1".parse().unwrap(), 8080, "pod-1")).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        for line in [
            "Hostname: pod-1",
            "client_address=10.0.0.1",
            "command=POST",
            "real path=/a",
            "query=b=c",
            "request_version=1.1",
            "request_uri=http://example:8080/a?b=c",
            "accept=*/*",
            "host=example:30000",
        ] {
            assert!(body.lines().any(|own| own == line), "{line} in {body}");
        }
        assert!(body.ends_with("BODY:\nhello"));
        let head = Request {
            method: "HEAD".to_owned(),
            ..request
        };
        assert!(answer(&head, "::1".parse().unwrap(), 8080, "x").ends_with(b"\r\n\r\n"));
    }
}
