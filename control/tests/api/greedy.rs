//! Clients that want too much at once, or never come to an end: memory stays bounded, and the others are served.

mod answers;
mod objects;
mod unread;
mod watches;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keelson_control::pki;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;

use crate::cluster::{Cluster, MAPS, config_map};
use crate::streams::roots;

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A connection of the administrator, or of nobody, that speaks HTTP/1.1.
fn connect(cluster: &Cluster, certificate: bool) -> Stream {
    let dir = &cluster.config.pki_dir;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(dir));
    let config = if certificate {
        config
            .with_client_auth_cert(
                pki::certificates(&dir.join("admin.crt")).unwrap(),
                pki::private_key(&dir.join("admin.key")).unwrap(),
            )
            .unwrap()
    } else {
        config.with_no_client_auth()
    };
    let tls = ClientConnection::new(Arc::new(config), "127.0.0.1".try_into().unwrap()).unwrap();
    let socket = TcpStream::connect(cluster.config.listen).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    StreamOwned::new(tls, socket)
}

/// The code of the answer; 0 if the server has hung up instead.
fn code(stream: &mut Stream) -> u16 {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let word = text.split(' ').nth(1).unwrap_or_default();
    word.parse().unwrap_or(0)
}

/// Kibibytes that this process, and so the server in it, has resident.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Others get their answers, and soon.
#[track_caller]
fn others_are_served(cluster: &Cluster) {
    let began = Instant::now();
    // On etcd it is not while a watch is begun anew.
    cluster.eventually("ready", |cluster| cluster.get("/readyz").0 == 200);
    let name = format!(
        "other-{}",
        began.elapsed().as_nanos() + u128::from(std::process::id())
    );
    let (code, answer) = cluster.post(MAPS, &config_map(&name, "1"));
    assert_eq!(code, 201, "{answer}");
    cluster.delete(&format!("{MAPS}/{name}"), &Value::Null);
    // Much more than the disk of a busy machine takes for two writes.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn slow_heads_hold_nothing() {
    let cluster = Cluster::start();
    let mut slow: Vec<Stream> = (0..200).map(|n| connect(&cluster, n % 2 == 0)).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /version HTTP/1.1\r\nHost: x\r\n").unwrap();
    }
    others_are_served(&cluster);
    // They get their answers if they come to an end.
    slow[0].write_all(b"\r\n").unwrap();
    assert_eq!(code(&mut slow[0]), 200);
}

#[test]
fn huge_heads_are_refused() {
    let cluster = Cluster::start();
    let before = resident();
    for _ in 0..20 {
        let mut stream = connect(&cluster, true);
        let mut head = b"GET /version HTTP/1.1\r\nHost: x\r\nX: ".to_vec();
        head.resize(4 << 20, b'a');
        // The server hangs up in the middle.
        let _ = stream.write_all(&head);
        assert!(matches!(code(&mut stream), 0 | 400 | 431));
        let mut stream = connect(&cluster, true);
        let many = format!(
            "GET /version HTTP/1.1\r\nHost: x\r\n{}\r\n",
            "a: b\r\n".repeat(20_000)
        );
        let _ = stream.write_all(many.as_bytes());
        assert!(matches!(code(&mut stream), 0 | 400 | 431));
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 50 << 10, "{grown} KiB");
    others_are_served(&cluster);
}

#[test]
fn endless_bodies_are_cut_off() {
    let cluster = Cluster::start();
    let before = resident();
    let piece = [&b"10000\r\n"[..], &vec![b' '; 0x10000], b"\r\n"].concat();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = connect(&cluster, true);
            let piece = piece.clone();
            std::thread::spawn(move || {
                let head = format!(
                    "POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).unwrap();
                let mut sent = 0;
                while stream.write_all(&piece).is_ok() {
                    sent += piece.len();
                    assert!(sent < 64 << 20, "the server reads on and on");
                }
                sent
            })
        })
        .collect();
    for thread in threads {
        assert!(thread.join().unwrap() > 2 << 20);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 150 << 10, "{grown} KiB");
    others_are_served(&cluster);
    // A length that is too large is refused before anything of it has come.
    let mut stream = connect(&cluster, true);
    let head = format!("POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(code(&mut stream), 413);
}

#[test]
fn slow_bodies_hold_no_place() {
    let cluster = Cluster::start();
    let mut slow: Vec<Stream> = (0..300).map(|_| connect(&cluster, true)).collect();
    for stream in &mut slow {
        let head = format!("POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{");
        stream.write_all(head.as_bytes()).unwrap();
    }
    others_are_served(&cluster);
    // They wait for as long as they say.
    let mut late = connect(&cluster, true);
    let head = format!("POST {MAPS}?timeout=1s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{");
    late.write_all(head.as_bytes()).unwrap();
    assert_eq!(code(&mut late), 504);
    let (_, metrics) = cluster.raw(http::Method::GET, "/metrics", &[], b"");
    let metrics = String::from_utf8(metrics).unwrap();
    let series = "apiserver_request_terminations_total{code=\"504\",component=\"apiserver\",group=\"\",\
                  resource=\"configmaps\",scope=\"resource\",subresource=\"\",verb=\"POST\",version=\"v1\"} 1\n";
    assert!(metrics.contains(series), "{metrics}");
    drop(slow);
    others_are_served(&cluster);
}

#[test]
fn silent_connections_keep_nobody_out() {
    let cluster = Cluster::start();
    let most = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
        .unwrap()
        .1;
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, most, most).unwrap();
    if most < 12_000 {
        println!("skipped: this process may not open enough connections ({most})");
        return;
    }
    let before = resident();
    // More than there is room for, and all there is room for come back as soon as they are shown out.
    let mut silent: Vec<TcpStream> = Vec::new();
    for _ in 0..4500 {
        silent.push(TcpStream::connect(cluster.config.listen).unwrap());
    }
    let began = Instant::now();
    others_are_served(&cluster);
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "before the silent ones are given up"
    );
    let grown = resident().saturating_sub(before);
    assert!(grown < 100 << 10, "{grown} KiB");
    // A client that is known stays, however many strangers come.
    let mut known = connect(&cluster, true);
    let ask = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n";
    known.write_all(ask).unwrap();
    assert_eq!(code(&mut known), 200);
    silent.clear();
    for _ in 0..4500 {
        silent.push(TcpStream::connect(cluster.config.listen).unwrap());
    }
    others_are_served(&cluster);
    known.write_all(ask).unwrap();
    assert_eq!(code(&mut known), 200);
}

#[test]
fn heads_of_many_lines_and_of_no_host() {
    let cluster = Cluster::start();
    let ask = |head: &str| {
        let mut stream = connect(&cluster, true);
        stream.write_all(head.as_bytes()).unwrap();
        code(&mut stream)
    };
    let groups = |lines| "Impersonate-Group: group\r\n".repeat(lines);
    let version = "GET /version HTTP/1.1\r\n";
    for (lines, expected) in [(446, 200), (447, 431)] {
        let head = format!(
            "{version}Host: x\r\nImpersonate-User: jane\r\n{}\r\n",
            groups(lines)
        );
        assert_eq!(ask(&head), expected, "{lines}");
    }
    for (hosts, expected) in [("Host: x\r\n", 200), ("", 400), ("Host: x\r\nHost: y\r\n", 400)] {
        assert_eq!(ask(&format!("{version}{hosts}\r\n")), expected, "{hosts}");
    }
    assert_eq!(ask("GET /version HTTP/1.0\r\n\r\n"), 200);
}
