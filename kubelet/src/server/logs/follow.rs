//! Sending a log to a client, and waiting for more.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keelson_runtime::node::{ContainerId, Events, Phase};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::cursor::Cursor;
use crate::server::PodLookup;
use crate::server::answer::Sender;
use crate::server::blocking;
use crate::server::query::LogOptions;
use crate::server::ready::watch;

/// A container instance's log.
pub(super) struct Source {
    pub path: PathBuf,
    pub pods: Arc<dyn PodLookup>,
    pub uid: String,
    pub name: String,
    pub previous: bool,
    /// The instance; absent if it is known no more.
    pub id: Option<ContainerId>,
}

impl Source {
    /// Whether nothing more will be written: the instance has ended, or another has taken its place.
    fn is_ended(&self) -> bool {
        match self.pods.container(&self.uid, &self.name, self.previous) {
            Some(state) if Some(&state.spec.id) == self.id.as_ref() => {
                matches!(state.phase, Phase::Exited { .. } | Phase::Unknown)
            }
            _ => true,
        }
    }
}

/// Sends a log until its end, with `events` until its container's end. Errors can only be logged: the answer has
/// begun.
pub(super) async fn send(source: Source, options: LogOptions, sender: Sender, events: Option<Events>) {
    let path = source.path.clone();
    if let Err(error) = try_send(source, &options, &sender, events).await {
        tracing::warn!(%error, path = %path.display(), "cannot read a log");
    }
}

async fn try_send(
    source: Source,
    options: &LogOptions,
    sender: &Sender,
    events: Option<Events>,
) -> io::Result<()> {
    let watch = events
        .map(|events| Watch::new(&source.path, events))
        .transpose()?;
    let source = Arc::new(source);
    let mut cursor = {
        let (path, options) = (source.path.clone(), options.clone());
        blocking(move || Cursor::open(path, &options))
            .await
            .map_err(io::Error::other)??
    };
    loop {
        // Looked at before reading: what was written before the end is read after it.
        let ended = if watch.is_some() {
            let source = source.clone();
            blocking(move || source.is_ended())
                .await
                .map_err(io::Error::other)?
        } else {
            true
        };
        loop {
            let (back, chunk) = blocking(move || {
                let chunk = cursor.next();
                (cursor, chunk)
            })
            .await
            .map_err(io::Error::other)?;
            cursor = back;
            match chunk? {
                None => break,
                // A slow client is waited for; one that is gone ends it.
                Some(chunk) => {
                    if sender.send(chunk).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
        match &watch {
            Some(watch) if !ended && !cursor.is_done() => tokio::select! {
                changed = watch.changed() => changed?,
                () = sender.closed() => return Ok(()),
            },
            _ => return Ok(()),
        }
    }
}

/// Tells when there may be something new: files written or rotated, or a container's end.
struct Watch {
    files: AsyncFd<Notifier>,
    events: AsyncFd<std::os::fd::OwnedFd>,
    pending: tokio::sync::Mutex<Events>,
}

/// [`Inotify`] for [`AsyncFd`].
struct Notifier(Inotify);

impl AsRawFd for Notifier {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Watch {
    fn new(path: &Path, events: Events) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        // The directory: it sees the file written, moved aside and made anew.
        let directory = path.parent().unwrap_or(Path::new("/"));
        let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        inotify.add_watch(directory, flags)?;
        let fd = events.fd().try_clone_to_owned()?;
        Ok(Self {
            files: watch(Notifier(inotify), Interest::READABLE)?,
            events: watch(fd, Interest::READABLE)?,
            pending: tokio::sync::Mutex::new(events),
        })
    }

    async fn changed(&self) -> io::Result<()> {
        tokio::select! {
            read = self.files.async_io(Interest::READABLE, |notifier| Ok(notifier.0.read_events()?)) => {
                read.map(drop)
            }
            ready = self.events.readable() => {
                let mut ready = ready?;
                let mut events = self.pending.lock().await;
                loop {
                    match events.try_next() {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(error) => return Err(io::Error::other(error.to_string())),
                    }
                }
                ready.clear_ready();
                Ok(())
            }
        }
    }
}
