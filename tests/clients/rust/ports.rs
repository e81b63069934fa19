//! Forwarded ports over WebSocket: two ports of one connection, bytes in bulk, an end on either side, nobody listening.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Session, within};
use crate::context::PATIENCE;

pub async fn all(session: Session) -> Result<()> {
    let pods: Api<Pod> = session.api();
    let script = "mkdir /www; head -c 2000000 /dev/zero > /www/data; echo second > /tmp/index.html; \
                  httpd -p 8081 -h /tmp; exec httpd -f -p 8080 -h /www";
    session.pod("web", script, false).await?;
    listening(&pods, 8080).await?;
    let mut ports = pods.portforward("web", &[8080, 8081]).await?;
    let mut first = ports.take_stream(8080).context("8080")?;
    let mut second = ports.take_stream(8081).context("8081")?;
    first.write_all(b"GET /data HTTP/1.0\r\n\r\n").await?;
    second.write_all(b"GET /index.html HTTP/1.0\r\n\r\n").await?;
    let (mut one, mut two) = (Vec::new(), Vec::new());
    let both = futures::future::try_join(first.read_to_end(&mut one), second.read_to_end(&mut two));
    within(PATIENCE, both).await??;
    ensure!(
        one.starts_with(b"HTTP/1.") && one.ends_with(&[0; 1024]) && one.len() > 2_000_000,
        "{} bytes",
        one.len()
    );
    ensure!(two.ends_with(b"second\n"), "{}", String::from_utf8_lossy(&two));
    // The server has hung up; whether the crate's own goodbye still finds somebody is nobody's concern.
    drop((first, second, ports));

    let mut ports = pods.portforward("web", &[9]).await?;
    let error = ports.take_error(9).context("error")?;
    let mut stream = ports.take_stream(9).context("9")?;
    // The write may come too late, which is the same to us.
    let _ = stream.write_all(b"anybody?").await;
    let error = within(Duration::from_secs(10), error).await?;
    ensure!(
        error.as_deref().is_some_and(|text| text.contains("refused")),
        "{error:?}"
    );
    Ok(())
}

/// Waits until the program in the pod has bound its port.
async fn listening(pods: &Api<Pod>, port: u16) -> Result<()> {
    within(PATIENCE, async {
        loop {
            let mut ports = pods.portforward("web", &[port]).await?;
            let mut stream = ports.take_stream(port).context("stream")?;
            let mut answer = Vec::new();
            if stream.write_all(b"HEAD / HTTP/1.0\r\n\r\n").await.is_ok()
                && stream.read_to_end(&mut answer).await.is_ok()
                && answer.starts_with(b"HTTP/1.")
            {
                return Ok(());
            }
        }
    })
    .await?
}
