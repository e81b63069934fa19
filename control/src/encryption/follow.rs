//! Reading the configuration again when its file changes (`--encryption-provider-config-automatic-reload`).

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::sync::Notify;

use super::{Encryption, Rules};

/// What can change the file's content, seen from its directory: written, or put in its place (a mounted ConfigMap
/// replaces a symbolic link beside it).
const CHANGES: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_CREATE);

/// Replaces the rules whenever the file's content changes to something valid; tells of the rules before. A file that
/// is not valid changes nothing and is reported. Ends only if the file cannot be watched.
pub async fn follow(path: &Path, encryption: &Encryption, changed: impl Fn(&Rules)) {
    let changes = match Changes::watch(path) {
        Ok(changes) => changes,
        Err(error) => {
            return tracing::error!(path = %path.display(), %error, "the encryption configuration cannot be watched");
        }
    };
    // Read once more when it is being watched, so that no change is missed.
    let mut known = None;
    loop {
        let now = std::fs::read(path).ok();
        if now.is_some() && now != known {
            match Rules::read(path) {
                Ok(rules) => {
                    changed(&encryption.replace(rules));
                    if known.is_some() {
                        tracing::info!(path = %path.display(), "the encryption configuration has been read again");
                    }
                }
                Err(error) => tracing::error!(%error, "the encryption configuration stays as it was"),
            }
            known = now;
        }
        changes.happened.notified().await;
    }
}

/// Changes in the file's directory.
struct Changes {
    happened: Arc<Notify>,
    /// The thread that waits for changes ends when this is closed.
    _open: OwnedFd,
}

impl Changes {
    fn watch(path: &Path) -> io::Result<Self> {
        let directory = path
            .parent()
            .filter(|parent| *parent != Path::new(""))
            .map_or_else(|| OsString::from("."), |parent| parent.as_os_str().to_owned());
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(directory.as_os_str(), CHANGES)?;
        let (closed, open) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let happened = Arc::new(Notify::new());
        let notify = Arc::clone(&happened);
        // A thread, because registering the descriptor with the event loop takes unsafe code, which this crate has none
        // of; it sleeps in poll(2).
        std::thread::Builder::new()
            .name("encryption".to_owned())
            .spawn(move || wait(&inotify, &closed, &notify))?;
        Ok(Self {
            happened,
            _open: open,
        })
    }
}

fn wait(inotify: &Inotify, closed: &OwnedFd, notify: &Notify) {
    loop {
        let mut descriptors = [
            PollFd::new(inotify.as_fd(), PollFlags::POLLIN),
            PollFd::new(closed.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut descriptors, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => {
                return tracing::error!(%error, "the encryption configuration is not watched any more");
            }
        }
        if descriptors[1].revents().is_some_and(|events| !events.is_empty()) {
            return;
        }
        // What exactly happened is all the same: the content tells.
        let mut any = false;
        while inotify.read_events().is_ok() {
            any = true;
        }
        if any {
            notify.notify_one();
        }
    }
}
