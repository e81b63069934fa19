//! The files that `ensure` makes are checked with rustls' own verifiers, which is what clients use.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{ServerName, UnixTime};

use super::*;

fn request() -> Request {
    Request {
        api_sans: vec!["192.0.2.7".to_owned(), "api.example.org".to_owned()],
        service_cidrs: vec!["10.43.0.0/16".to_owned(), "fd43::/112".to_owned()],
        cluster_domain: "cluster.local".to_owned(),
        node_name: "n1".to_owned(),
        node_ip: "192.0.2.1".parse().unwrap(),
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(dir: &Path) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots
        .add(certificates(&dir.join("ca.crt")).unwrap().remove(0))
        .unwrap();
    Arc::new(roots)
}

fn serves(dir: &Path, base: &str, name: &str) -> Result<(), rustls::Error> {
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(roots(dir), provider())
        .build()
        .unwrap();
    let leaf = certificates(&dir.join(format!("{base}.crt"))).unwrap().remove(0);
    verifier
        .verify_server_cert(
            &leaf,
            &[],
            &ServerName::try_from(name.to_owned()).unwrap(),
            &[],
            UnixTime::now(),
        )
        .map(drop)
}

fn is_client(dir: &Path, base: &str) -> bool {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(dir), provider())
        .build()
        .unwrap();
    let leaf = certificates(&dir.join(format!("{base}.crt"))).unwrap().remove(0);
    verifier.verify_client_cert(&leaf, &[], UnixTime::now()).is_ok()
}

fn made() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    ensure(&dir.path().join("pki"), &request()).unwrap();
    dir
}

fn contents(dir: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

#[test]
fn chains_verify_for_every_name() {
    let dir = made();
    let pki = dir.path().join("pki");
    for name in [
        "kubernetes",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "::1",
        "10.43.0.1",
        "fd43::1",
        "192.0.2.1",
        "192.0.2.7",
        "api.example.org",
    ] {
        serves(&pki, "apiserver", name).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert!(serves(&pki, "apiserver", "10.43.0.2").is_err());
    for name in ["n1", "192.0.2.1", "127.0.0.1"] {
        serves(&pki, "kubelet-n1-server", name).unwrap();
    }
    for base in ["admin", "netd", "kubelet-n1", "apiserver-kubelet-client"] {
        assert!(is_client(&pki, base), "{base}");
        assert!(serves(&pki, base, "localhost").is_err(), "{base} must not serve");
    }
    assert!(!is_client(&pki, "apiserver"));
}

#[test]
fn files_are_private() {
    let dir = made();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join("pki")), 0o700);
    for (name, _) in contents(&dir.path().join("pki")) {
        let is_key = Path::new(&name)
            .extension()
            .is_some_and(|extension| extension == "key");
        // What Secrets are encrypted with.
        let expected = if is_key || name == "encryption.yaml" {
            0o600
        } else {
            0o644
        };
        assert_eq!(mode(&dir.path().join("pki").join(&name)), expected, "{name}");
    }
}

#[test]
fn a_second_run_changes_nothing_and_new_sans_change_only_the_server() {
    let dir = made();
    let pki = dir.path().join("pki");
    let before = contents(&pki);
    ensure(&pki, &request()).unwrap();
    assert_eq!(contents(&pki), before);
    let mut changed = request();
    changed.api_sans.push("203.0.113.9".to_owned());
    ensure(&pki, &changed).unwrap();
    let after = contents(&pki);
    let differing: Vec<_> = before
        .iter()
        .filter(|(name, old)| after[*name] != **old)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(differing, ["apiserver.crt", "apiserver.key"]);
    serves(&pki, "apiserver", "203.0.113.9").unwrap();
}

#[test]
fn the_api_server_is_no_master_to_kubelets_and_older_certificates_are_replaced() {
    let dir = made();
    let pki = dir.path().join("pki");
    let base = "apiserver-kubelet-client";
    let masters = || {
        let der = certificates(&pki.join(format!("{base}.crt"))).unwrap().remove(0);
        let certificate = existing::parse(&der, &pki).unwrap();
        certificate.subject().to_string().contains("system:masters")
    };
    assert!(!masters());
    // As earlier versions have made it.
    let now = OffsetDateTime::now_utc();
    let authority = issue::authority(&pki, now).unwrap();
    let mut older = plan::leaves(&request()).unwrap();
    older.retain(|leaf| leaf.base == base);
    older[0].organization = Some("system:masters");
    issue::leaf(&pki, &older[0], &authority, now).unwrap();
    assert!(masters());
    let before = contents(&pki);
    ensure(&pki, &request()).unwrap();
    assert!(!masters());
    let after = contents(&pki);
    let differing: Vec<_> = before
        .iter()
        .filter(|(name, old)| after[*name] != **old)
        .collect();
    assert_eq!(differing.len(), 2, "nothing else is replaced");
}

#[test]
fn expiring_certificates_are_renewed_under_the_same_authority() {
    let dir = made();
    let pki = dir.path().join("pki");
    let before = contents(&pki);
    let now = OffsetDateTime::now_utc();
    ensure_at(&pki, &request(), now + time::Duration::days(200)).unwrap();
    assert_eq!(contents(&pki), before, "plenty of time left");
    ensure_at(&pki, &request(), now + time::Duration::days(300)).unwrap();
    let after = contents(&pki);
    assert_ne!(after["admin.crt"], before["admin.crt"]);
    for kept in ["ca.crt", "ca.key", "sa.key", "sa.pub"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
}

#[test]
fn an_expiring_authority_is_renewed_over_its_key() {
    let dir = made();
    let pki = dir.path().join("pki");
    let before = contents(&pki);
    ensure_at(
        &pki,
        &request(),
        OffsetDateTime::now_utc() + time::Duration::days(3600),
    )
    .unwrap();
    let after = contents(&pki);
    assert_eq!(after["ca.key"], before["ca.key"]);
    assert_ne!(after["ca.crt"], before["ca.crt"]);
}

#[test]
fn damage_is_named_and_nothing_is_overwritten() {
    for (file, kind) in [
        ("apiserver.crt", "damaged"),
        ("admin.key", "damaged"),
        ("sa.key", "damaged"),
        ("ca.crt", "authority"),
        ("ca.key", "authority"),
    ] {
        let dir = made();
        let pki = dir.path().join("pki");
        std::fs::write(pki.join(file), "-----BEGIN NONSENSE").unwrap();
        let error = ensure(&pki, &request()).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(kind), "{file}: {error}");
        assert_eq!(std::fs::read(pki.join(file)).unwrap(), b"-----BEGIN NONSENSE");
    }
}

#[test]
fn a_crash_between_key_and_certificate_heals() {
    let dir = made();
    let pki = dir.path().join("pki");
    std::fs::copy(pki.join("netd.key"), pki.join("admin.key")).unwrap();
    std::fs::remove_file(pki.join("kubelet-n1.crt")).unwrap();
    std::fs::remove_file(pki.join("sa.pub")).unwrap();
    ensure(&pki, &request()).unwrap();
    assert!(is_client(&pki, "admin") && is_client(&pki, "kubelet-n1") && pki.join("sa.pub").exists());
}

#[test]
fn without_the_authority_key_valid_certificates_still_serve() {
    let dir = made();
    let pki = dir.path().join("pki");
    std::fs::remove_file(pki.join("ca.key")).unwrap();
    ensure(&pki, &request()).unwrap();
    std::fs::remove_file(pki.join("admin.crt")).unwrap();
    let error = ensure(&pki, &request()).unwrap_err().to_string();
    assert!(error.contains("ca.key") && error.contains("admin.crt"), "{error}");
}

#[test]
fn a_foreign_authority_has_its_leaves_replaced() {
    let (dir, other) = (made(), made());
    let pki = dir.path().join("pki");
    for file in ["ca.crt", "ca.key"] {
        std::fs::copy(other.path().join("pki").join(file), pki.join(file)).unwrap();
    }
    ensure(&pki, &request()).unwrap();
    assert!(is_client(&pki, "admin"));
    std::fs::copy(dir.path().join("pki/sa.key"), pki.join("ca.key")).unwrap();
    assert!(
        ensure(&pki, &request())
            .unwrap_err()
            .to_string()
            .contains("does not belong")
    );
}

#[test]
fn hostile_names_are_refused() {
    for name in ["", "..", "../x", "a/b", "A", "-a", "a b", "a\n", &"a".repeat(300)] {
        let dir = tempfile::tempdir().unwrap();
        let request = Request {
            node_name: name.to_owned(),
            ..request()
        };
        assert!(ensure(&dir.path().join("pki"), &request).is_err(), "{name:?}");
        assert!(!dir.path().join("pki").exists());
    }
    for cidr in ["10.43.0.0", "10.43.0.0/33", "x/8", "10.43.0.0/32"] {
        let dir = tempfile::tempdir().unwrap();
        let request = Request {
            service_cidrs: vec![cidr.to_owned()],
            ..request()
        };
        assert!(ensure(dir.path(), &request).is_err(), "{cidr:?}");
    }
}

#[test]
fn kubeconfig_embeds_everything() {
    let dir = made();
    let (pki, path) = (dir.path().join("pki"), dir.path().join("sub/admin.kubeconfig"));
    write_kubeconfig(&path, "https://127.0.0.1:6443", &pki, "admin", "kubernetes-admin").unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let config = kube::config::Kubeconfig::read_from(&path).unwrap();
    assert_eq!(
        config.current_context.as_deref(),
        Some("kubernetes-admin@keelson")
    );
    let cluster = config.clusters[0].cluster.as_ref().unwrap();
    assert_eq!(cluster.server.as_deref(), Some("https://127.0.0.1:6443"));
    assert!(cluster.certificate_authority_data.is_some());
    std::fs::write(pki.join("admin.key"), "x").unwrap();
    let error = write_kubeconfig(&path, "https://x", &pki, "admin", "a")
        .unwrap_err()
        .to_string();
    assert!(error.contains("admin.key"), "{error}");
}
