//! Answers of proxied servers, made fit for a client that sees them below the proxy's path.

use std::io::Write;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, LOCATION,
};
use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use super::links::Links;
use super::pages::Pages;
use crate::server::body::{Body, BoxError};

/// Compressed bytes decoded at once: what they become is at most a thousand times larger.
const SLICE: usize = 4 << 10;

/// Rewrites the links of an answer: its Location, else those of its page.
pub fn rewrite(links: Links, mut response: Response<Body>) -> Response<Body> {
    let partial = response.status() == StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    // Who may read the answer is the API server's to say.
    for name in [
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN,
    ] {
        headers.remove(name);
    }
    if let Some(location) = text(headers, &LOCATION) {
        if let Some(location) = links.rewrite(location)
            && let Ok(location) = HeaderValue::from_str(&location)
        {
            headers.insert(LOCATION, location);
        }
        return response;
    }
    let media = text(headers, &CONTENT_TYPE).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if partial || !media.eq_ignore_ascii_case("text/html") {
        return response;
    }
    let gzip = match text(headers, &CONTENT_ENCODING) {
        None => None,
        Some("gzip") => Some(MultiGzDecoder::new(Vec::new())),
        // Passes as it is: nobody can read it here.
        Some(_) => return response,
    };
    let of_head = headers.contains_key(CONTENT_LENGTH) && hyper::body::Body::is_end_stream(response.body());
    if of_head {
        return response;
    }
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.remove(CONTENT_ENCODING);
    response.map(|body| {
        let page = Page {
            body,
            pages: Some(Pages::new(links)),
            gzip,
            rest: Bytes::new(),
        };
        let pieces = futures::stream::unfold(page, |mut page| async move {
            let piece = page.next().await?;
            Some((piece.map(Frame::data), page))
        });
        StreamBody::new(pieces).boxed_unsync()
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A page on its way.
struct Page {
    body: Body,
    /// Gone at the end.
    pages: Option<Pages>,
    gzip: Option<MultiGzDecoder<Vec<u8>>>,
    /// Received and not looked at yet.
    rest: Bytes,
}

impl Page {
    fn finish(&mut self, mut pages: Pages) -> Result<Bytes, BoxError> {
        let mut last = Vec::new();
        if let Some(gzip) = &mut self.gzip {
            gzip.try_finish()?;
            last = pages.push(gzip.get_ref());
        }
        last.extend(pages.finish());
        Ok(last.into())
    }

    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        self.pages.as_ref()?;
        if self.rest.is_empty() {
            match self.body.frame().await {
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => {
                    self.pages = None;
                    return Some(Err(error));
                }
                None => return self.pages.take().map(|pages| self.finish(pages)),
            }
        }
        let pages = self.pages.as_mut()?;
        let Some(gzip) = &mut self.gzip else {
            return Some(Ok(pages.push(&std::mem::take(&mut self.rest)).into()));
        };
        let slice = self.rest.split_to(self.rest.len().min(SLICE));
        let decoded = gzip.write_all(&slice).and_then(|()| gzip.flush());
        if let Err(error) = decoded {
            self.pages = None;
            return Some(Err(error.into()));
        }
        let plain = std::mem::take(gzip.get_mut());
        Some(Ok(pages.push(&plain).into()))
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::server::body::full;

    fn links() -> Links {
        Links {
            prefix: "/p/proxy".into(),
            server: "10.0.0.1:80".into(),
            asked: "host".into(),
        }
    }

    fn answer(headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Body> {
        let mut builder = Response::builder();
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        rewrite(links(), builder.body(full(body)).unwrap())
    }

    async fn read(response: Response<Body>) -> Result<String, BoxError> {
        let body = response.into_body().collect().await?.to_bytes();
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn pages_and_redirections() {
        let page = "<a href=\"/x\">x</a>";
        let ours = "<a href=\"/p/proxy/x\">x</a>";
        let html = ("content-type", "text/html; charset=utf-8");
        let response = answer(&[html, ("content-length", "18")], page);
        assert!(!response.headers().contains_key("content-length"));
        assert_eq!(read(response).await.unwrap(), ours);

        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(page.as_bytes()).unwrap();
        let zipped = gzip.finish().unwrap();
        let response = answer(&[html, ("content-encoding", "gzip")], zipped.clone());
        assert!(!response.headers().contains_key("content-encoding"));
        assert_eq!(read(response).await.unwrap(), ours);
        let response = answer(&[html, ("content-encoding", "gzip")], "no gzip");
        assert!(read(response).await.is_err());

        let response = answer(&[("content-type", "text/plain")], page);
        assert_eq!(read(response).await.unwrap(), page);
        let response = answer(&[html, ("content-encoding", "br")], page);
        assert_eq!(read(response).await.unwrap(), page);

        let response = answer(
            &[
                ("location", "http://10.0.0.1:80/in"),
                ("access-control-allow-origin", "*"),
            ],
            "",
        );
        assert_eq!(response.headers()["location"], "/p/proxy/in");
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }
}
