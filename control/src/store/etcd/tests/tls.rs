//! TLS, with certificates on both sides.

use std::path::Path;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::*;
use crate::store::etcd::proto::RangeRequest;

/// An authority, a server's certificate for 127.0.0.1 and a client's, as files.
fn certificates(dir: &Path) {
    let authority = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "etcd-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&authority).unwrap();
    std::fs::write(dir.join("ca.crt"), certificate.pem()).unwrap();
    let issuer = Issuer::new(params, authority);
    for (name, names) in [("server", vec!["127.0.0.1".to_owned()]), ("client", Vec::new())] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(dir.join(format!("{name}.crt")), certificate.pem()).unwrap();
        std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// Members that show a certificate of this authority and want one of it.
fn start(members: usize, dir: &Path) -> Option<Peer> {
    certificates(dir);
    let file = |name: &str| dir.join(name).display().to_string();
    Peer::start_with("https", members, |_| {
        vec![
            format!("--cert-file={}", file("server.crt")),
            format!("--key-file={}", file("server.key")),
            format!("--trusted-ca-file={}", file("ca.crt")),
            "--client-cert-auth".to_owned(),
        ]
    })
}

/// A client that trusts this authority and shows a certificate of that one.
fn client(peer: &Peer, ca: &Path, identity: Option<&Path>) -> EtcdOptions {
    let mut options = settings(peer, "/registry");
    options.servers.ca_file = Some(ca.join("ca.crt"));
    options.servers.cert_file = identity.map(|dir| dir.join("client.crt"));
    options.servers.key_file = identity.map(|dir| dir.join("client.key"));
    options
}

/// Its kernel takes the connection, and nobody answers on it.
#[test]
fn a_member_that_hangs_before_tls_is_left_for_another() {
    let dir = tempfile::tempdir().unwrap();
    let Some(peer) = start(3, dir.path()) else { return };
    let servers = client(&peer, dir.path(), Some(dir.path())).servers;
    let mut client = Client::new(&servers).unwrap();
    client.limit = Duration::from_mins(1);
    peer.pause(0, true);
    let key = RangeRequest {
        key: b"/registry".to_vec(),
        ..RangeRequest::default()
    };
    let read = wait(client.range(key));
    peer.pause(0, false);
    read.unwrap();
}

#[test]
fn both_sides_show_certificates() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(theirs.path());
    let Some(peer) = start(1, ours.path()) else { return };
    let with = |ca: &Path, identity: Option<&Path>| client(&peer, ca, identity);
    let store = wait(Etcd::open(with(ours.path(), Some(ours.path())))).unwrap();
    wait(store.write(put(("a", "x"), Expect::Absent, "1"))).unwrap();
    catch_up(&store);
    // Without a certificate, with somebody else's, and at a server that somebody else vouches for: nothing.
    for (ca, identity) in [
        (ours.path(), None),
        (ours.path(), Some(theirs.path())),
        (theirs.path(), Some(ours.path())),
    ] {
        let core = Core::new(with(ca, identity)).unwrap();
        let refused = wait(async { tokio::time::timeout(Duration::from_secs(3), load::open(&core)).await });
        assert!(!matches!(refused, Ok(Ok(()))));
    }
    let half = Client::new(&Servers {
        key_file: None,
        ..with(ours.path(), Some(ours.path())).servers
    });
    assert!(half.unwrap_err().contains("a certificate for etcd needs its key"));
}
