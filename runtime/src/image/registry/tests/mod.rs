//! A registry of our own that lies, breaks and damages. (A real one: runtime/tests/registry.)

mod breaks;
mod damage;
mod thief;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::image::fixture::{self, Tar, gzip};
use crate::image::manifest::{CONFIG_TYPE, MANIFEST_TYPE, Platform};
use crate::image::{Digest, ImageStore, Limits, PullOptions};

const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// What a registry can get wrong.
type Lie<'a> = Box<dyn Fn(&Server) + 'a>;

/// What the registry answers to a path.
#[derive(Clone)]
struct Page {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

/// A registry on loopback, which wants a token for everything below `/v2/`.
struct Server {
    port: u16,
    pages: Arc<Mutex<HashMap<String, Page>>>,
    /// Paths that were asked for with good credentials.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (pages, asked) = (
            Arc::new(Mutex::new(HashMap::new())),
            Arc::new(Mutex::new(Vec::new())),
        );
        let server = Self {
            port,
            pages: pages.clone(),
            asked: asked.clone(),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (pages, asked) = (pages.clone(), asked.clone());
                std::thread::spawn(move || serve(&stream.unwrap(), port, &pages, &asked));
            }
        });
        server
    }

    fn page(&self, path: &str, status: u16, headers: &str, body: &[u8]) {
        let page = Page {
            status,
            headers: headers.to_owned(),
            body: body.to_vec(),
        };
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    fn blob(&self, bytes: &[u8]) {
        self.page(
            &format!("/v2/team/shell/blobs/{}", Digest::of(bytes)),
            200,
            "",
            bytes,
        );
    }

    fn manifest(&self, name: &str, media_type: &str, value: &Value) -> Value {
        let bytes = value.to_string();
        self.page(
            &format!("/v2/team/shell/manifests/{name}"),
            200,
            &format!("Content-Type: {media_type}\r\n"),
            bytes.as_bytes(),
        );
        fixture::descriptor(media_type, bytes.as_bytes())
    }

    /// Serves an image of these layers. Returns its manifest.
    fn image(&self, tag: &str, layers: &[&[u8]]) -> Value {
        let config = fixture::config(layers).to_string();
        self.blob(config.as_bytes());
        let packed: Vec<Vec<u8>> = layers.iter().map(|layer| gzip(layer)).collect();
        for layer in &packed {
            self.blob(layer);
        }
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
            "config": fixture::descriptor(CONFIG_TYPE, config.as_bytes()),
            "layers": packed.iter().map(|layer| fixture::descriptor("", layer)).collect::<Vec<_>>(),
        });
        self.manifest(tag, MANIFEST_TYPE, &manifest);
        manifest
    }

    fn reference(&self, tag: &str) -> String {
        format!("localhost:{}/team/shell{tag}", self.port)
    }
}

fn serve(stream: &TcpStream, port: u16, pages: &Mutex<HashMap<String, Page>>, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut path, mut authorization) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(rest) = line.strip_prefix("GET ") {
                path = rest.split(' ').next().unwrap().to_owned();
            }
            if let Some(value) = line.to_lowercase().strip_prefix("authorization: ") {
                authorization = value.trim().to_owned();
            }
            if line == "\r\n" {
                break;
            }
        }
        let page = if path.starts_with("/token?") {
            assert!(
                path.contains("service=test&scope=repository%3Ateam%2Fshell%3Apull"),
                "{path}"
            );
            // user:secret
            let good = authorization == "basic dxnlcjpzzwnyzxq=";
            let status = if good { 200 } else { 401 };
            Page {
                status,
                headers: String::new(),
                body: br#"{"token":"t0ken"}"#.to_vec(),
            }
        } else if path.starts_with("/v2/") && authorization != "bearer t0ken" {
            let headers = format!(
                "WWW-Authenticate: Bearer realm=\"http://localhost:{port}/token\",service=\"test\",\
                 scope=\"repository:team/shell:pull\"\r\n"
            );
            Page {
                status: 401,
                headers,
                body: Vec::new(),
            }
        } else {
            asked.lock().unwrap().push(path.clone());
            let absent = Page {
                status: 404,
                headers: String::new(),
                body: b"{}".to_vec(),
            };
            pages.lock().unwrap().get(&path).cloned().unwrap_or(absent)
        };
        let head = format!(
            "HTTP/1.1 {} X\r\nContent-Length: {}\r\n{}\r\n",
            page.status,
            page.body.len(),
            page.headers
        );
        let mut stream = stream;
        if stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&page.body))
            .is_err()
        {
            return;
        }
    }
}

struct Place {
    directory: tempfile::TempDir,
    store: ImageStore,
}

fn store() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits {
        image_bytes: 16 << 20,
        keep_free: 0,
    };
    let store = ImageStore::open_with(directory.path(), limits).unwrap();
    Place { directory, store }
}

fn secret() -> PullOptions {
    password("secret")
}

fn password(password: &str) -> PullOptions {
    let credentials = Credentials::Password("user".to_owned(), password.to_owned());
    PullOptions {
        access: Access {
            credentials,
            ..Access::default()
        },
        platform: None,
    }
}

fn base() -> Vec<u8> {
    Tar::default().directory("./").file("bin/sh", b"shell").end()
}

#[test]
fn by_tag_by_digest_and_through_an_index() {
    let (server, place) = (Server::new(), store());
    let top = Tar::default().file("etc/motd", b"hello").end();
    let manifest = server.image("one", &[&base()]);
    let image = place.store.pull(&server.reference(":one"), &secret()).unwrap();
    assert_eq!(std::fs::read(image.layers[0].join("bin/sh")).unwrap(), b"shell");
    assert_eq!(image.tags, [server.reference(":one")]);

    let digest = Digest::of(manifest.to_string().as_bytes());
    server.manifest(&digest.to_string(), MANIFEST_TYPE, &manifest);
    let by_digest = server.reference(&format!("@{digest}"));
    assert_eq!(place.store.pull(&by_digest, &secret()).unwrap().id, image.id);
    assert_eq!(place.store.get(&by_digest).unwrap().unwrap().id, image.id);

    // The second image shares a layer, which is not fetched again; its blobs are behind redirects.
    let manifest = server.image("two-here", &[&base(), &top]);
    let mut entry = server.manifest(
        &Digest::of(manifest.to_string().as_bytes()).to_string(),
        MANIFEST_TYPE,
        &manifest,
    );
    entry["platform"] = json!({"os": "linux", "architecture": Platform::host().architecture});
    let other = json!({"mediaType": MANIFEST_TYPE, "digest": Digest::of(b"other"), "size": 1,
        "platform": {"os": "linux", "architecture": "s390x"}});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [other, entry]});
    server.manifest("two", INDEX_TYPE, &index);
    let blob = format!("/v2/team/shell/blobs/{}", Digest::of(&gzip(&top)));
    server.page("/storage", 200, "", &gzip(&top));
    server.page(&blob, 307, "Location: /storage\r\n", b"");
    server.asked.lock().unwrap().clear();
    let image = place.store.pull(&server.reference(":two"), &secret()).unwrap();
    assert_eq!(image.layers.len(), 2);
    assert_eq!(
        image.digests,
        [server.reference(&format!("@{}", Digest::of(index.to_string().as_bytes())))]
    );
    let asked = server.asked.lock().unwrap();
    assert!(asked.contains(&"/storage".to_owned()));
    assert!(
        !asked.contains(&format!("/v2/team/shell/blobs/{}", Digest::of(&gzip(&base())))),
        "{asked:?}"
    );
}

#[test]
fn refusals_have_words() {
    let (server, place) = (Server::new(), store());
    server.image("one", &[&base()]);
    let words = |tag: &str, auth: &PullOptions| {
        place
            .store
            .pull(&server.reference(tag), auth)
            .unwrap_err()
            .to_string()
    };
    assert!(
        words(":absent", &secret()).ends_with(":absent\": not found"),
        "{}",
        words(":absent", &secret())
    );
    for auth in [PullOptions::default(), password("wrong")] {
        assert!(
            words(":one", &auth)
                .contains("pull access denied, repository does not exist or may require authorization")
        );
    }
    assert!(matches!(
        place.store.pull("UPPER CASE", &PullOptions::default()),
        Err(Error::InvalidReference(_))
    ));
}

#[test]
fn an_absent_registry_is_known_soon() {
    let place = store();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let start = Instant::now();
    let error = place
        .store
        .pull(&format!("127.0.0.1:{port}/a:b"), &PullOptions::default())
        .unwrap_err();
    assert!(error.to_string().contains("Connection refused"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn lies_are_refused_and_leave_nothing() {
    let layer = gzip(&base());
    let layer_path = format!("/v2/team/shell/blobs/{}", Digest::of(&layer));
    let lies: Vec<(&str, Lie)> = vec![
        (
            "other layer",
            Box::new(|server| server.page(&layer_path, 200, "", &gzip(b"other"))),
        ),
        (
            "longer layer",
            Box::new(|server| server.page(&layer_path, 200, "", &[layer.clone(), vec![0; 100]].concat())),
        ),
        (
            "shorter layer",
            Box::new(|server| server.page(&layer_path, 200, "", &layer[..10])),
        ),
        (
            "no layer",
            Box::new(|server| server.page(&layer_path, 404, "", b"")),
        ),
        (
            "layer elsewhere",
            Box::new(|server| server.page(&layer_path, 302, "Location: http://example.com/x\r\n", b"")),
        ),
        (
            "layer in circles",
            Box::new(|server| server.page(&layer_path, 302, &format!("Location: {layer_path}\r\n"), b"")),
        ),
        (
            "huge manifest",
            Box::new(|server| server.page("/v2/team/shell/manifests/one", 200, "", &vec![b' '; 5 << 20])),
        ),
        (
            "other type",
            Box::new(|server| {
                let page = server.pages.lock().unwrap()["/v2/team/shell/manifests/one"].clone();
                server.page(
                    "/v2/team/shell/manifests/one",
                    200,
                    &format!("Content-Type: {INDEX_TYPE}\r\n"),
                    &page.body,
                );
            }),
        ),
        (
            "larger than the disk",
            Box::new(|server| {
                let page = server.pages.lock().unwrap()["/v2/team/shell/manifests/one"].clone();
                let mut manifest: Value = serde_json::from_slice(&page.body).unwrap();
                manifest["layers"][0]["size"] = json!(u64::MAX);
                server.manifest("one", MANIFEST_TYPE, &manifest);
            }),
        ),
    ];
    for (what, lie) in lies {
        let (server, place) = (Server::new(), store());
        server.image("one", &[&base()]);
        lie(&server);
        assert!(
            place.store.pull(&server.reference(":one"), &secret()).is_err(),
            "{what}"
        );
        assert!(place.store.list().unwrap().is_empty(), "{what}");
        let left = std::fs::read_dir(place.store_root().join("tmp")).unwrap().count();
        assert_eq!(left, 0, "{what}");
    }
    let (server, place) = (Server::new(), store());
    server.image("one", &[&base()]);
    let page = server.pages.lock().unwrap()["/v2/team/shell/manifests/one"].clone();
    let asked_for = Digest::of(b"something else");
    server.page(
        &format!("/v2/team/shell/manifests/{asked_for}"),
        200,
        &page.headers,
        &page.body,
    );
    assert!(
        place
            .store
            .pull(&server.reference(&format!("@{asked_for}")), &secret())
            .is_err()
    );
}

impl Place {
    fn store_root(&self) -> &std::path::Path {
        self.directory.path()
    }
}
