//! Events of all containers: the shims drop a file for each, and the kernel tells whoever watches the directory. So no
//! event needs a connection, and a restarted caller has nothing to subscribe to again.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::state::names;
use super::{Error, Event};

/// Stream of runtime events.
#[derive(Debug)]
pub struct Events {
    watch: Inotify,
    directory: PathBuf,
    pending: VecDeque<Event>,
}

fn event(name: &str) -> Option<Event> {
    if name.starts_with('.') {
        return None; // a record being written
    }
    Some(match name.strip_suffix(".oom") {
        Some(id) => Event::Oom(id.to_owned()),
        None => Event::Exited(name.to_owned()),
    })
}

impl Events {
    pub(super) fn new(directory: &Path) -> Result<Self, Error> {
        let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK);
        let watch = watch.map_err(Error::io("watching for container exits"))?;
        watch
            .add_watch(directory, AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR)
            .map_err(Error::io(format!("watching {}", directory.display())))?;
        Ok(Self {
            watch,
            directory: directory.to_owned(),
            pending: VecDeque::new(),
        })
    }

    /// Becomes readable when an event is pending (for `AsyncFd`).
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    /// Takes one pending event without blocking. After a flood that the kernel could not queue, every end on record is
    /// told again: an event may come twice, but none is lost.
    pub fn try_next(&mut self) -> Result<Option<Event>, Error> {
        if let Some(event) = self.pending.pop_front() {
            return Ok(Some(event));
        }
        let news = match self.watch.read_events() {
            Err(Errno::EAGAIN) => return Ok(None),
            other => other.map_err(Error::io("reading container exits"))?,
        };
        for item in news {
            if item.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                self.pending
                    .extend(names(&self.directory)?.iter().filter_map(|name| event(name)));
            } else if let Some(event) = item.name.as_ref().and_then(|name| name.to_str()).and_then(event) {
                self.pending.push_back(event);
            }
        }
        Ok(self.pending.pop_front())
    }
}
