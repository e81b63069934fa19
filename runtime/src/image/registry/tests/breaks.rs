//! Downloads that break, stall, come damaged or in other parts than asked for.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// One request for the layer: its number, and the offset that `Range` asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    number: usize,
    pub(super) from: Option<usize>,
}

/// What is answered: status, headers, body, and after how many bytes of it the connection is cut.
pub(super) struct Answer {
    status: &'static str,
    headers: String,
    body: Vec<u8>,
    cut: Option<usize>,
}

impl Answer {
    pub(super) fn whole(layer: &[u8]) -> Self {
        Self {
            status: "200 OK",
            headers: String::new(),
            body: layer.to_vec(),
            cut: None,
        }
    }

    pub(super) fn part(layer: &[u8], from: usize) -> Self {
        Self {
            status: "206 Partial Content",
            headers: format!(
                "Content-Range: bytes {from}-{}/{}\r\n",
                layer.len() - 1,
                layer.len()
            ),
            body: layer[from..].to_vec(),
            cut: None,
        }
    }

    pub(super) fn cut(self, after: usize) -> Self {
        Self {
            cut: Some(after),
            ..self
        }
    }

    pub(super) fn status(status: &'static str) -> Self {
        Self {
            status,
            headers: String::new(),
            body: Vec::new(),
            cut: None,
        }
    }
}

type Script = Arc<dyn Fn(Ask, &[u8]) -> Answer + Send + Sync>;

/// A registry with one image, whose layer is served by a script.
pub(super) struct Breaking {
    port: u16,
    pub(super) asks: Arc<Mutex<Vec<Ask>>>,
    script: Arc<Mutex<Script>>,
    pub(super) layer: Vec<u8>,
}

impl Breaking {
    pub(super) fn new(script: impl Fn(Ask, &[u8]) -> Answer + Send + Sync + 'static) -> Self {
        // Enough that one answer is many packets; noise, so that it does not shrink.
        let mut state = 1u64;
        let noise: Vec<u8> = (0..3_000_000)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        let plain = Tar::default().file("noise", &noise).end();
        let layer = gzip(&plain);
        let config = fixture::config(&[&plain]).to_string();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
            "config": fixture::descriptor(CONFIG_TYPE, config.as_bytes()),
            "layers": [fixture::descriptor("", &layer)],
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asks, script): (Arc<Mutex<Vec<Ask>>>, Arc<Mutex<Script>>) =
            (Arc::default(), Arc::new(Mutex::new(Arc::new(script))));
        let breaking = Self {
            port,
            asks: asks.clone(),
            script: script.clone(),
            layer: layer.clone(),
        };
        let documents = [manifest.to_string().into_bytes(), config.into_bytes()];
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (asks, script, layer, documents) =
                    (asks.clone(), script.clone(), layer.clone(), documents.clone());
                std::thread::spawn(move || connection(&stream.unwrap(), &asks, &script, &layer, &documents));
            }
        });
        breaking
    }

    pub(super) fn name(&self) -> String {
        format!("127.0.0.1:{}/team/noise:1", self.port)
    }

    pub(super) fn answer_with(&self, script: impl Fn(Ask, &[u8]) -> Answer + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
        self.asks.lock().unwrap().clear();
    }

    pub(super) fn offsets(&self) -> Vec<Option<usize>> {
        self.asks.lock().unwrap().iter().map(|ask| ask.from).collect()
    }
}

pub(super) fn connection(
    stream: &TcpStream,
    asks: &Mutex<Vec<Ask>>,
    script: &Mutex<Script>,
    layer: &[u8],
    documents: &[Vec<u8>; 2],
) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut path, mut from) = (String::new(), None);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(rest) = line.strip_prefix("GET ") {
                path = rest.split(' ').next().unwrap().to_owned();
            }
            if let Some(rest) = line.to_lowercase().strip_prefix("range: bytes=") {
                from = rest.trim().strip_suffix('-').map(|from| from.parse().unwrap());
            }
            if line == "\r\n" {
                break;
            }
        }
        let answer = if path.contains("/manifests/") {
            let mut answer = Answer::whole(&documents[0]);
            answer.headers = format!("Content-Type: {MANIFEST_TYPE}\r\n");
            answer
        } else if path.ends_with(&Digest::of(&documents[1]).to_string()) {
            Answer::whole(&documents[1])
        } else if path.contains("/blobs/") {
            let ask = {
                let mut asks = asks.lock().unwrap();
                let ask = Ask {
                    number: asks.len(),
                    from,
                };
                asks.push(ask);
                ask
            };
            let script = script.lock().unwrap().clone();
            script(ask, layer)
        } else {
            Answer::whole(b"{}")
        };
        let head = format!(
            "HTTP/1.1 {}\r\nContent-Length: {}\r\n{}\r\n",
            answer.status,
            answer.body.len(),
            answer.headers
        );
        let sent = answer.cut.unwrap_or(answer.body.len());
        let mut stream = stream;
        let written = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&answer.body[..sent]));
        if written.is_err() || answer.cut.is_some() {
            return;
        }
    }
}

/// A server that cuts every answer after `bytes`, but goes on where it is asked to.
pub(super) fn cutting(bytes: usize) -> impl Fn(Ask, &[u8]) -> Answer + Send + Sync {
    move |ask, layer| {
        let answer = match ask.from {
            Some(from) => Answer::part(layer, from),
            None => Answer::whole(layer),
        };
        let cut = bytes.min(answer.body.len());
        if cut < answer.body.len() {
            answer.cut(cut)
        } else {
            answer
        }
    }
}

pub(super) fn pull(place: &Place, breaking: &Breaking) -> Result<crate::image::Image, Error> {
    place.store.pull(&breaking.name(), &PullOptions::default())
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let (place, breaking) = (store(), Breaking::new(cutting(400_000)));
    pull(&place, &breaking).unwrap();
    let offsets = breaking.offsets();
    assert!(offsets.len() >= 7, "{offsets:?}");
    assert_eq!(offsets[0], None);
    // Each goes on behind the last, and no byte was fetched twice.
    let mut before = 0;
    for offset in &offsets[1..] {
        assert!(offset.unwrap() > before, "{offsets:?}");
        before = offset.unwrap();
    }
}

#[test]
fn a_later_pull_goes_on_with_what_an_earlier_one_left() {
    let place = store();
    // Half of it, then nothing more.
    let breaking = Breaking::new(|ask, layer| {
        if ask.number == 0 {
            Answer::whole(layer).cut(layer.len() / 2)
        } else {
            Answer::status("503 Service Unavailable")
        }
    });
    let error = pull(&place, &breaking).unwrap_err().to_string();
    assert!(error.contains("503"), "{error}");
    let partial = place.store_root().join("partial");
    assert_eq!(std::fs::read_dir(&partial).unwrap().count(), 1);
    // Another process opens the store, and pulls.
    breaking.answer_with(|ask, layer| Answer::part(layer, ask.from.unwrap()));
    let other = ImageStore::open(place.store_root()).unwrap();
    other.pull(&breaking.name(), &PullOptions::default()).unwrap();
    let offsets = breaking.offsets();
    assert_eq!(offsets.len(), 1);
    assert!(offsets[0].unwrap() > breaking.layer.len() / 3, "{offsets:?}");
    assert_eq!(std::fs::read_dir(&partial).unwrap().count(), 0);
}

#[test]
fn damaged_bytes_are_fetched_again() {
    let place = store();
    let damaged = |layer: &[u8]| {
        let mut layer = layer.to_vec();
        layer[1000] ^= 1;
        layer
    };
    let breaking = Breaking::new(move |ask, layer| match ask.number {
        0 => Answer::whole(&damaged(layer)),
        _ => Answer::whole(layer),
    });
    pull(&place, &breaking).unwrap();
    assert_eq!(breaking.offsets(), [None, None]);
    place.store.remove(&breaking.name()).unwrap();
    // A registry whose copy is damaged is given up, and leaves nothing that a later pull would go on with.
    breaking.answer_with(move |_, layer| Answer::whole(&damaged(layer)));
    let error = pull(&place, &breaking).unwrap_err().to_string();
    assert!(
        error.contains("the registry sent") && error.contains("with the digest"),
        "{error}"
    );
    assert_eq!(breaking.offsets().len(), 3);
    breaking.answer_with(|_, layer| Answer::whole(layer));
    pull(&place, &breaking).unwrap();
    assert_eq!(breaking.offsets(), [None]);
}

#[test]
fn a_left_over_that_is_damaged_is_thrown_away() {
    let (place, breaking) = (
        store(),
        Breaking::new(|ask, layer| match ask.from {
            Some(from) => Answer::part(layer, from),
            None => Answer::whole(layer),
        }),
    );
    let partial = place
        .store_root()
        .join("partial")
        .join(Digest::of(&breaking.layer).hex());
    for left in [
        vec![7; 1000],
        vec![7; breaking.layer.len()],
        vec![7; breaking.layer.len() + 1],
    ] {
        std::fs::write(&partial, left).unwrap();
        pull(&place, &breaking).unwrap();
        place.store.remove(&breaking.name()).unwrap();
    }
}

type PartOf = fn(usize, &[u8]) -> Answer;

#[test]
fn servers_with_ideas_of_their_own_about_ranges() {
    let lies: [(&str, PartOf); 6] = [
        ("all of it", |_, layer| Answer::whole(layer)),
        ("not satisfiable", |_, _| {
            Answer::status("416 Range Not Satisfiable")
        }),
        ("another part", |_, layer| Answer::part(layer, 17)),
        ("no word which part", |from, layer| Answer {
            headers: String::new(),
            ..Answer::part(layer, from)
        }),
        ("another size", |from, layer| Answer {
            headers: format!(
                "Content-Range: bytes {from}-{}/{}\r\n",
                layer.len(),
                layer.len() + 1
            ),
            ..Answer::part(layer, from)
        }),
        ("too much", |from, layer| {
            let mut answer = Answer::part(layer, from);
            answer.body.extend([0; 1000]);
            answer
        }),
    ];
    for (what, lie) in lies {
        let place = store();
        let breaking = Breaking::new(move |ask, layer| match ask.from {
            Some(from) if ask.number == 1 => lie(from, layer),
            Some(from) => Answer::part(layer, from),
            None if ask.number == 0 => Answer::whole(layer).cut(layer.len() / 2),
            None => Answer::whole(layer),
        });
        let pulled = pull(&place, &breaking);
        assert!(pulled.is_ok() || what == "too much", "{what}: {pulled:?}");
        assert!(place.store.check(None).unwrap().is_empty());
    }
}

#[test]
fn a_busy_registry_is_waited_for_and_a_refusal_is_not() {
    let place = store();
    let breaking = Breaking::new(|ask, layer| match ask.number {
        0 => Answer::status("503 Service Unavailable"),
        1 => Answer {
            headers: "Retry-After: 1\r\n".to_owned(),
            ..Answer::status("429 Too Many Requests")
        },
        _ => Answer::whole(layer),
    });
    let start = Instant::now();
    pull(&place, &breaking).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "as the registry asked");
    place.store.remove(&breaking.name()).unwrap();
    breaking.answer_with(|_, _| Answer::status("403 Forbidden"));
    let error = pull(&place, &breaking).unwrap_err().to_string();
    assert!(error.contains("pull access denied"), "{error}");
    assert_eq!(breaking.offsets().len(), 1);
}

#[test]
fn pulls_of_one_image_at_the_same_time_fetch_it_once() {
    let (place, breaking) = (store(), Breaking::new(cutting(1_000_000)));
    let pulled = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let store = ImageStore::open(place.store_root()).unwrap();
                store.pull(&breaking.name(), &PullOptions::default()).unwrap();
                pulled.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(pulled.into_inner(), 4);
    let first_requests = breaking
        .offsets()
        .iter()
        .filter(|offset| offset.is_none())
        .count();
    assert_eq!(first_requests, 1, "{:?}", breaking.offsets());
    assert_eq!(
        std::fs::read_dir(place.store_root().join("pulling"))
            .unwrap()
            .count(),
        0
    );
}
