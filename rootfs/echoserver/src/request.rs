//! Reading a request (RFC 9112), within bounds.

use std::io::{self, BufRead, Read, Write};

/// Longest request line and headers together.
const HEAD: u64 = 64 << 10;
/// Longest body.
const BODY: u64 = 1 << 20;

/// What a client asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, ...
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// `1.1` or `1.0`.
    pub version: String,
    /// Names in lower case, values as sent, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body, decoded from chunks.
    pub body: Vec<u8>,
    /// Whether the connection stays open.
    pub keep_alive: bool,
}

/// What reading came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A whole request.
    Request(Request),
    /// The client closed the connection.
    End,
    /// Something that is answered with this status and a closed connection.
    Refuse(&'static str),
}

impl Request {
    /// Reads one request. `writer` gets `100 Continue` where a client waits for it.
    pub fn read(reader: &mut impl BufRead, writer: &mut impl Write) -> io::Result<Outcome> {
        const BAD: Outcome = Outcome::Refuse("400 Bad Request");
        let mut head = reader.take(HEAD);
        let mut request = Self::default();
        let Some(line) = read_line(&mut head)? else {
            return Ok(end_or_too_long(&head));
        };
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Ok(BAD);
        };
        let Some(version) = version.strip_prefix("HTTP/1.") else {
            return Ok(Outcome::Refuse("505 HTTP Version Not Supported"));
        };
        if method.is_empty() || target.is_empty() {
            return Ok(BAD);
        }
        method.clone_into(&mut request.method);
        target.clone_into(&mut request.target);
        request.version = format!("1.{version}");
        loop {
            let Some(line) = read_line(&mut head)? else {
                return Ok(if head.limit() == 0 {
                    Outcome::Refuse("431 Request Header Fields Too Large")
                } else {
                    BAD
                });
            };
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else {
                return Ok(BAD);
            };
            request
                .headers
                .push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let connection = request
            .header("connection")
            .unwrap_or_default()
            .to_ascii_lowercase();
        request.keep_alive = match version {
            "0" => connection.contains("keep-alive"),
            _ => !connection.contains("close"),
        };
        if request
            .header("expect")
            .is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue"))
        {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        match request.read_body(reader)? {
            None => Ok(Outcome::Request(request)),
            Some(status) => Ok(Outcome::Refuse(status)),
        }
    }

    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reads the body; a status if it cannot be taken.
    fn read_body(&mut self, reader: &mut impl BufRead) -> io::Result<Option<&'static str>> {
        const TOO_LARGE: Option<&str> = Some("413 Content Too Large");
        const BAD: Option<&str> = Some("400 Bad Request");
        if let Some(coding) = self.header("transfer-encoding") {
            // Both lengths at once is how requests are smuggled past proxies (RFC 9112 6.1).
            if !coding.eq_ignore_ascii_case("chunked") || self.header("content-length").is_some() {
                return Ok(BAD);
            }
            return self.read_chunks(reader);
        }
        let Some(length) = self.header("content-length") else {
            return Ok(None);
        };
        let Ok(length) = length.parse::<u64>() else {
            return Ok(BAD);
        };
        if length > BODY {
            return Ok(TOO_LARGE);
        }
        let read = reader.take(length).read_to_end(&mut self.body)?;
        Ok(if read as u64 == length { None } else { BAD })
    }

    fn read_chunks(&mut self, reader: &mut impl BufRead) -> io::Result<Option<&'static str>> {
        const BAD: Option<&str> = Some("400 Bad Request");
        loop {
            let Some(line) = read_line(&mut reader.take(1024))? else {
                return Ok(BAD);
            };
            let size = line.split(';').next().unwrap_or_default().trim();
            let Ok(size) = u64::from_str_radix(size, 16) else {
                return Ok(BAD);
            };
            if size.saturating_add(self.body.len() as u64) > BODY {
                return Ok(Some("413 Content Too Large"));
            }
            if size == 0 {
                break;
            }
            let read = reader.take(size).read_to_end(&mut self.body)?;
            if read as u64 != size || read_line(&mut reader.take(2))?.is_none_or(|line| !line.is_empty()) {
                return Ok(BAD);
            }
        }
        // Trailers, up to an empty line.
        let mut trailers = reader.take(HEAD);
        loop {
            match read_line(&mut trailers)? {
                Some(line) if line.is_empty() => return Ok(None),
                Some(_) => {}
                None => return Ok(BAD),
            }
        }
    }
}

fn end_or_too_long<R>(head: &io::Take<R>) -> Outcome {
    if head.limit() == 0 {
        Outcome::Refuse("414 URI Too Long")
    } else {
        Outcome::End
    }
}

/// A line without its end; `None` at the end of the stream or of the limit. Bytes that are not text are replaced.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Ok(None);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Outcome, Vec<u8>) {
        let mut said = Vec::new();
        (Request::read(&mut text.as_bytes(), &mut said).unwrap(), said)
    }

    fn request(text: &str) -> Request {
        match read(text).0 {
            Outcome::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn requests() {
        let get = request("GET /a?b=c HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n");
        assert_eq!(
            (get.method.as_str(), get.target.as_str(), get.version.as_str()),
            ("GET", "/a?b=c", "1.1")
        );
        assert!(get.keep_alive && get.header("host") == Some("x"));
        assert!(!request("GET / HTTP/1.0\r\n\r\n").keep_alive);
        assert!(!request("GET / HTTP/1.1\r\nConnection: Close\r\n\r\n").keep_alive);
        assert_eq!(
            request("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcdef").body,
            b"abc"
        );
        let chunked =
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\n";
        assert_eq!(request(chunked).body, b"abcde");
        assert_eq!(
            read("PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx").1,
            b"HTTP/1.1 100 Continue\r\n\r\n"
        );
    }

    #[test]
    fn refusals() {
        assert_eq!(read("").0, Outcome::End);
        for bad in [
            "GET\r\n\r\n",
            "GET / HTTP/2\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\n",
            "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
            &format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000)),
            &format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(70_000)),
        ] {
            assert!(matches!(read(bad).0, Outcome::Refuse(_)), "{bad:.80}");
        }
    }
}
