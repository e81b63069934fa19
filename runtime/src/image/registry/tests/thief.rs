//! A host that a registry redirects to, and that asks for credentials (CVE-2020-15157).

use super::*;

/// Answers every request with a challenge of its own; keeps what it was told.
fn thief() -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(String::new()));
    let notes = heard.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while let Some(Ok(line)) = lines
                .next()
                .filter(|line| line.as_ref().is_ok_and(|l| !l.is_empty()))
            {
                notes.lock().unwrap().push_str(&line);
            }
            let answer = format!(
                "HTTP/1.1 401 X\r\nContent-Length: 0\r\nConnection: close\r\n\
                 WWW-Authenticate: Bearer realm=\"http://localhost:{port}/token\",service=\"x\"\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (port, heard)
}

#[test]
fn credentials_stay_with_the_registry() {
    let (server, place) = (Server::new(), store());
    let (port, heard) = thief();
    server.image("one", &[&base()]);
    let layer = format!("/v2/team/shell/blobs/{}", Digest::of(&gzip(&base())));
    let location = format!("Location: http://localhost:{port}/storage\r\n");
    server.page(&layer, 307, &location, b"");
    assert!(place.store.pull(&server.reference(":one"), &secret()).is_err());
    let heard = heard.lock().unwrap().to_lowercase();
    assert!(heard.contains("get /storage"), "it was asked: {heard}");
    assert!(
        !heard.contains("authorization") && !heard.contains("/token"),
        "{heard}"
    );
}
