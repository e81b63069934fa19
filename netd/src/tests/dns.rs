//! Cluster DNS as pods use it, with an upstream resolver of the test's.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::lab::{Namespace, Running, config, on_node, pod};

const SERVER: &str = "10.43.0.10:53";

fn query(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

fn over_udp(from: &Namespace, name: &str) -> Option<Message> {
    let bytes = query(name, RecordType::A);
    from.run(move || {
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.connect(SERVER).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(4))).ok()?;
        socket.send(&bytes).ok()?;
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).ok()?;
        Some(Message::from_vec(&buffer[..length]).unwrap())
    })
}

fn over_tcp(from: &Namespace, name: &str) -> Option<Message> {
    let bytes = query(name, RecordType::A);
    from.run(move || {
        let mut stream = TcpStream::connect(SERVER).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(4))).ok()?;
        stream.write_all(&(bytes.len() as u16).to_be_bytes()).ok()?;
        stream.write_all(&bytes).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut buffer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut buffer).ok()?;
        Some(Message::from_vec(&buffer).unwrap())
    })
}

fn first(message: &Message) -> String {
    message
        .answers
        .first()
        .map(|r| r.data.to_string())
        .unwrap_or_default()
}

/// A resolver at `ip` that answers everything with 192.0.2.`mark`; over UDP it says that `big.` names are truncated,
/// and it answers `liar.` names about another name and under another id first.
fn upstream(node: &Namespace, ip: &'static str, mark: u8) {
    let reply = move |bytes: &[u8], udp: bool| {
        let mut message = Message::from_vec(bytes).unwrap();
        message.metadata.message_type = MessageType::Response;
        let name = message.queries[0].name.clone();
        if udp && name.to_ascii().starts_with("big") {
            message.metadata.truncation = true;
        } else {
            let count = if name.to_ascii().starts_with("big") {
                100
            } else {
                1
            };
            for _ in 0..count {
                let data = RData::A(A::new(192, 0, 2, mark));
                message.add_answer(Record::from_rdata(name.clone(), 60, data));
            }
        }
        message
    };
    let (udp, tcp) = node.run(move || {
        (
            UdpSocket::bind((ip, 53)).unwrap(),
            TcpListener::bind((ip, 53)).unwrap(),
        )
    });
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, peer)) = udp.recv_from(&mut buffer) {
            let message = reply(&buffer[..length], true);
            if message.queries[0].name.to_ascii().starts_with("liar") {
                let mut lie = message.clone();
                lie.metadata.id ^= 1;
                let _ = udp.send_to(&lie.to_vec().unwrap(), peer);
                let mut lie = message.clone();
                lie.queries[0].name = Name::from_ascii("bank.example.").unwrap();
                let _ = udp.send_to(&lie.to_vec().unwrap(), peer);
            }
            let _ = udp.send_to(&message.to_vec().unwrap(), peer);
        }
    });
    std::thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            let mut stream = stream;
            let mut length = [0; 2];
            if stream.read_exact(&mut length).is_ok() {
                let mut buffer = vec![0; usize::from(u16::from_be_bytes(length))];
                let _ = stream.read_exact(&mut buffer);
                let bytes = reply(&buffer, false).to_vec().unwrap();
                let _ = stream.write_all(&(bytes.len() as u16).to_be_bytes());
                let _ = stream.write_all(&bytes);
            }
        }
    });
}

#[test]
fn pods_and_node_ask_and_upstream_changes_are_followed() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let node = Namespace::current();
        crate::lab::sh("ip addr add 127.0.1.1/32 dev lo; ip addr add 127.0.1.2/32 dev lo");
        upstream(&node, "127.0.1.1", 1);
        upstream(&node, "127.0.1.2", 2);
        let resolv = dir.path().join("resolv.conf");
        std::fs::write(&resolv, "nameserver 127.0.1.1\n").unwrap();
        let netd = Running::start(config(dir.path())).await;
        let a = pod(&netd.client, "a").await;
        let (pod, client) = (a.namespace, netd.client.clone());
        // The lab's servers and clients block, so they run beside the daemon's runtime.
        tokio::task::spawn_blocking(move || {
            for from in [&pod, &node] {
                assert_eq!(first(&over_udp(from, "example.org.").unwrap()), "192.0.2.1");
                assert_eq!(first(&over_tcp(from, "example.org.").unwrap()), "192.0.2.1");
                let own = over_udp(from, "dns.example.cluster.local.").unwrap();
                assert_eq!(own.metadata.response_code, ResponseCode::NXDomain);
                let later = over_udp(from, "web.default.svc.cluster.local.").unwrap();
                assert_eq!(
                    later.metadata.response_code,
                    ResponseCode::ServFail,
                    "the API has not answered yet"
                );
            }
            assert_eq!(first(&over_udp(&pod, "liar.example.").unwrap()), "192.0.2.1");
            let cut = over_udp(&pod, "big.example.").unwrap();
            assert!(cut.metadata.truncation && !cut.answers.is_empty());
            let whole = over_tcp(&pod, "big.example.").unwrap();
            assert!(!whole.metadata.truncation && whole.answers.len() == 100);
            // A new file is renamed over the old one, as programs do it.
            let beside = resolv.with_extension("tmp");
            std::fs::write(&beside, "nameserver 127.0.1.9\nnameserver 127.0.1.2\n").unwrap();
            std::fs::rename(&beside, &resolv).unwrap();
            std::thread::sleep(Duration::from_millis(100));
            assert_eq!(
                first(&over_udp(&pod, "example.org.").unwrap()),
                "192.0.2.2",
                "the first does not listen"
            );
            std::fs::write(&resolv, "").unwrap();
            std::thread::sleep(Duration::from_millis(100));
            let nobody = over_udp(&pod, "example.org.").unwrap();
            assert_eq!(nobody.metadata.response_code, ResponseCode::ServFail);
        })
        .await
        .unwrap();
        drop(client);
        netd.stop().await;
    });
}

#[test]
fn strangers_are_not_answered() {
    on_node(|| async {
        let world = super::attach::uplink();
        let dir = tempfile::tempdir().unwrap();
        let netd = Running::start(config(dir.path())).await;
        world.sh("ip route add 10.43.0.10 via 192.0.2.2");
        let answer = tokio::task::spawn_blocking(move || {
            let bytes = query("cluster.local.", RecordType::SOA);
            world.run(move || {
                let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                socket.connect(SERVER).unwrap();
                socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
                socket.send(&bytes).unwrap();
                socket.recv(&mut [0; 512])
            })
        });
        assert!(answer.await.unwrap().is_err());
        netd.stop().await;
    });
}
