//! The unix socket: who may ask, reading requests, writing answers.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::client::{MAX_LINE, Request, Response};

/// Connections served at a time; the kubelet opens one for each pod that it starts or stops.
const MAX_CONNECTIONS: usize = 64;

/// What answers requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;
}

/// Listens at `path`, replacing the socket of a predecessor. Mode 0600 from the start: the directory entry appears
/// under another name first.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let beside = path.with_extension("new");
    match std::fs::remove_file(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(&beside)?;
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&beside, path)?;
    Ok(listener)
}

/// Serves connections for ever.
pub(crate) async fn serve(listener: UnixListener, handler: Arc<impl Handler>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Dropped with this future, and its connections with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return; // never closed
        };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let handler = Arc::clone(&handler);
                connections.spawn(async move {
                    if let Err(error) = connection(stream, &*handler).await {
                        debug!(%error, "client went away");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "accept");
                // Out of descriptors or memory: give the kernel time to get some back.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, handler: &impl Handler) -> io::Result<()> {
    // The mode keeps others out; this holds even when somebody opens the directory up.
    let peer = stream.peer_cred()?;
    if peer.uid() != 0 {
        warn!(
            uid = peer.uid(),
            pid = peer.pid(),
            "refused a client that is not root"
        );
        return Ok(());
    }
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut read).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(());
        }
        let complete = line.last() == Some(&b'\n');
        let response = if complete {
            match serde_json::from_slice(&line) {
                Ok(request) => handler.handle(request).await,
                Err(error) => Response::Error(format!("malformed request: {error}")),
            }
        } else {
            Response::Error("the request does not end with a newline, or is too long".into())
        };
        let mut answer = serde_json::to_vec(&response)?;
        answer.push(b'\n');
        write.write_all(&answer).await?;
        if !complete {
            return Ok(());
        }
    }
}
