//! Kubeconfig files with everything embedded, so that one file is enough to reach the cluster.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{PkiError, existing, files};

/// Writes a kubeconfig for `PKI_DIR/CERT_BASE.crt` and `.key` to `path` (0600, replaced in one step). `user` names the
/// user entry inside the file, as `kubernetes-admin` does; the API server goes by the certificate.
pub fn write_kubeconfig(
    path: &Path,
    server_url: &str,
    pki_dir: &Path,
    cert_base: &str,
    user: &str,
) -> Result<(), crate::Error> {
    write(path, server_url, pki_dir, cert_base, user).map_err(Into::into)
}

fn write(path: &Path, server_url: &str, pki_dir: &Path, base: &str, user: &str) -> Result<(), PkiError> {
    let (authority, crt, key) = (
        pki_dir.join("ca.crt"),
        pki_dir.join(format!("{base}.crt")),
        pki_dir.join(format!("{base}.key")),
    );
    // A kubeconfig around a damaged file would fail later and name no file.
    existing::certificates(&authority)?;
    existing::certificates(&crt)?;
    existing::key(&key)?;
    let context = format!("{user}@keelson");
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "keelson", "cluster": {
            "certificate-authority-data": STANDARD.encode(files::read(&authority)?),
            "server": server_url,
        }}],
        "contexts": [{"name": context, "context": {"cluster": "keelson", "user": user}}],
        "current-context": context,
        "preferences": {},
        "users": [{"name": user, "user": {
            "client-certificate-data": STANDARD.encode(files::read(&crt)?),
            "client-key-data": STANDARD.encode(files::read(&key)?),
        }}],
    });
    let yaml = serde_yaml_ng::to_string(&config).map_err(|error| PkiError::Damaged {
        path: path.to_owned(),
        why: error.to_string(),
    })?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(|source| PkiError::Io {
            what: "creating",
            path: parent.to_owned(),
            source,
        })?;
    }
    files::write(path, yaml.as_bytes(), 0o600)
}
