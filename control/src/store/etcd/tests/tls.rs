//! TLS, with certificates on both sides.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::*;

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

#[test]
fn both_sides_show_certificates() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(ours.path());
    certificates(theirs.path());
    let file = |name: &str| ours.path().join(name).display().to_string();
    let arguments = vec![
        format!("--cert-file={}", file("server.crt")),
        format!("--key-file={}", file("server.key")),
        format!("--trusted-ca-file={}", file("ca.crt")),
        "--client-cert-auth".to_owned(),
    ];
    let Some(peer) = Peer::start_with("https", 1, |_| arguments.clone()) else {
        return;
    };
    let with = |ca: &Path, identity: Option<&Path>| {
        let mut options = settings(&peer, "/registry");
        options.servers.ca_file = Some(ca.join("ca.crt"));
        options.servers.cert_file = identity.map(|dir| dir.join("client.crt"));
        options.servers.key_file = identity.map(|dir| dir.join("client.key"));
        options
    };
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
