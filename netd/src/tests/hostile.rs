//! The socket under strange clients.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use crate::client::{HostPort, Request};
use crate::lab::{Namespace, Running, config, on_node, pod, request};

fn say(socket: &std::path::Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = String::new();
    let _ = BufReader::new(stream).read_line(&mut answer);
    answer
}

#[test]
fn strange_requests_are_refused_and_others_served() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let netd = Running::start(config(dir.path())).await;
        let socket = netd.config.socket.clone();
        assert_eq!(
            std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
            0o600
        );
        // Clients that connect and say nothing, or never end their line, do not hinder others.
        let mut silent: Vec<UnixStream> = (0..20).map(|_| UnixStream::connect(&socket).unwrap()).collect();
        silent[0].write_all(b"{\"attach\":").unwrap();
        let strange = tokio::task::spawn_blocking(move || {
            let long = vec![b'x'; 300 * 1024];
            let uid = serde_json::to_vec(&Request::Detach {
                pod_uid: "../../etc/passwd".into(),
            })
            .unwrap();
            let cases: [&[u8]; 8] = [
                b"\n",
                b"null\n",
                b"{}\n",
                b"{\"attach\":{}}\n",
                b"\xff\xfe\n",
                b"{\"detach\":{\"pod_uid\":1}}\n",
                &long,
                &[uid.as_slice(), b"\n"].concat(),
            ];
            cases.map(|bytes| say(&socket, bytes))
        });
        for answer in strange.await.unwrap() {
            assert!(answer.starts_with("{\"error\":"), "{answer}");
        }
        pod(&netd.client, "fine").await;
        drop(silent);
        netd.stop().await;
    });
}

#[test]
fn only_root_may_ask() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let netd = Running::start(config(dir.path())).await;
        // Even when somebody opens directory and socket to all.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&netd.config.socket, std::fs::Permissions::from_mode(0o666)).unwrap();
        let script = format!(
            "printf '\"ready\"\\n' | setpriv --reuid 65534 --clear-groups socat -t1 - UNIX-CONNECT:{}; true",
            netd.config.socket.display()
        );
        let answer = tokio::task::spawn_blocking(move || crate::lab::sh(&script))
            .await
            .unwrap();
        assert_eq!(answer, "");
        netd.client.ready().await.unwrap_err();
        netd.stop().await;
    });
}

#[test]
fn strange_pods_do_no_harm() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let netd = Running::start(config(dir.path())).await;
        let namespace = Namespace::new();
        let mut odd = request("odd", namespace.path());
        odd.name = "x\"; drop table".repeat(100);
        odd.host_ports = vec![
            HostPort {
                protocol: "icmp".into(),
                host_port: 1,
                container_port: 1,
                host_ip: None,
            },
            HostPort {
                protocol: "TCP".into(),
                host_port: 2,
                container_port: 2,
                host_ip: Some("::1".parse().unwrap()),
            },
            HostPort {
                protocol: "TCP".into(),
                host_port: 3,
                container_port: 3,
                host_ip: None,
            },
            HostPort {
                protocol: "TCP".into(),
                host_port: 3,
                container_port: 4,
                host_ip: None,
            },
        ];
        let attached = netd.client.attach(&odd).await;
        assert!(attached.is_err(), "the same port twice");
        odd.host_ports.pop();
        netd.client.attach(&odd).await.unwrap();
        // The same pod in another namespace: the old link goes.
        let other = Namespace::new();
        odd.netns = other.path();
        netd.client.attach(&odd).await.unwrap();
        assert!(other.sh("ip addr show eth0").contains("10.42.0."));
        assert_eq!(namespace.sh("ip -o link show type veth"), "");
        netd.client.detach(&odd.pod_uid).await.unwrap();
        netd.stop().await;
    });
}

#[test]
fn a_full_range_says_so() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        config.pod_cidrs = vec!["10.42.0.0/30".into()];
        let netd = Running::start(config).await;
        let first = pod(&netd.client, "first").await;
        let error = netd
            .client
            .attach(&request("second", Namespace::new().path()))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("no free address in 10.42.0.0/30"), "{error}");
        netd.client.detach(&first.request.pod_uid).await.unwrap();
        pod(&netd.client, "third").await;
        netd.stop().await;
    });
}
