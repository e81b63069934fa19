//! `GET /keelson/v1/snapshot`: a copy of the whole store, for `keelson snapshot save`.
//!
//! It holds every Secret and every role, so reaching the path is not enough: the caller must also be allowed everything
//! that a wildcard rule allows (`get` of all resources of all groups), as members of `system:masters` and holders of
//! `cluster-admin` are.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue};
use http::{Response, StatusCode};
use keelson_api::status::Status;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::Api;
use super::body::{self, Body};
use super::pipeline::Incoming;
use crate::auth::{self, Attributes, Decision};
use crate::store::StoreError;
use crate::store::snapshot::Snapshot;

/// The path.
pub const PATH: &str = "/keelson/v1/snapshot";
/// How long a client may take for a piece. The store keeps all old pages while a snapshot is under way.
const SLOWEST: Duration = Duration::from_secs(30);
/// How long the whole may take.
const LONGEST: Duration = Duration::from_hours(1);

/// Answers with the snapshot as a stream. Its own checksum tells the client whether it came to its end.
pub async fn serve(api: &Api, incoming: &Incoming) -> Result<Response<Body>, Status> {
    let attributes = Attributes::resource(&incoming.user, "get", "*", "*");
    if let Decision::Deny(reason) | Decision::NoOpinion(reason) = api.authorizer.authorize(&attributes) {
        return Err(auth::forbidden(&attributes, &reason));
    }
    let Ok(turn) = std::sync::Arc::clone(&api.snapshots).try_acquire_owned() else {
        return Err(Status::too_many_requests("another snapshot is under way", 10));
    };
    let snapshot = api.store.snapshot().await.map_err(|error| match error {
        StoreError::Unsupported(why) => Status::failure(501, "NotImplemented", why, None),
        error => Status::internal(&error.to_string()),
    })?;
    let (sender, pieces) = mpsc::channel(4);
    let pieces = futures::stream::unfold(pieces, |mut pieces| async move {
        let piece: Vec<u8> = pieces.recv().await?;
        Some((Bytes::from(piece), pieces))
    });
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        write(&snapshot, sender, handle);
    });
    let mut response = body::with_type(StatusCode::OK, "application/octet-stream", body::stream(pieces));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn write(snapshot: &Snapshot, sender: mpsc::Sender<Vec<u8>>, handle: Handle) {
    let pipe = Pipe {
        sender,
        handle,
        ends: std::time::Instant::now() + LONGEST,
    };
    match snapshot.write(pipe) {
        Ok(summary) => {
            tracing::info!(
                revision = summary.revision,
                objects = summary.objects,
                bytes = summary.bytes,
                "snapshot sent"
            );
        }
        Err(error) => tracing::warn!(%error, "a snapshot was not sent to its end"),
    }
}

/// From a blocking writer to the answer's body.
struct Pipe {
    sender: mpsc::Sender<Vec<u8>>,
    handle: Handle,
    ends: std::time::Instant,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let limit = SLOWEST.min(self.ends.saturating_duration_since(std::time::Instant::now()));
        let send = self.sender.send(bytes.to_vec());
        match self
            .handle
            .block_on(async { tokio::time::timeout(limit, send).await })
        {
            Ok(Ok(())) => Ok(bytes.len()),
            Ok(Err(_)) => Err(std::io::Error::other("the client has gone")),
            Err(_) => Err(std::io::Error::other("the client is too slow")),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
