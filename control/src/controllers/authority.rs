//! The cluster's certificate authority, which some controllers publish.

use std::path::Path;
use std::time::Duration;

/// Between two attempts to read it.
const AGAIN: Duration = Duration::from_secs(1);

/// Reads the certificate, as PEM. What keeps it from being read (a limit of open files) may pass, and tells nobody when it
/// does.
pub async fn read(pki_dir: &Path) -> String {
    read_after(pki_dir, || tokio::time::sleep(AGAIN)).await
}

async fn read_after<P: Future<Output = ()>>(pki_dir: &Path, pause: impl Fn() -> P) -> String {
    let path = pki_dir.join("ca.crt");
    loop {
        match tokio::fs::read_to_string(&path).await {
            Ok(pem) => return pem,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "no certificate authority to publish");
            }
        }
        pause().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_read_is_read_later() {
        let dir = tempfile::tempdir().unwrap();
        let pause = || async { std::fs::write(dir.path().join("ca.crt"), "authority").unwrap() };
        assert_eq!(read_after(dir.path(), pause).await, "authority");
    }
}
