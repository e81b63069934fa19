//! Events of all containers: the shims drop a file for each, and the kernel tells whoever watches the directory. So no
//! event needs a connection, and a restarted caller has nothing to subscribe to again.
//!
//! A shim that dies drops no file. But it holds its lock file open for writing, and the kernel tells of that closing,
//! too: then all its containers that have no record of an end are reported, and found to be in an unknown state.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use super::layout::Layout;
use super::state::{StoredContainer, names, read_json};
use super::{Error, Event};

/// Stream of runtime events.
#[derive(Debug)]
pub struct Events {
    watch: Inotify,
    layout: Layout,
    exits: WatchDescriptor,
    pods: WatchDescriptor,
    /// Pods whose shim is watched.
    shims: HashMap<WatchDescriptor, String>,
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
    pub(super) fn new(layout: &Layout) -> Result<Self, Error> {
        let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK);
        let watch = watch.map_err(Error::io("watching for container exits"))?;
        let add = |path: &std::path::Path, flags| {
            watch
                .add_watch(path, flags | AddWatchFlags::IN_ONLYDIR)
                .map_err(Error::io(format!("watching {}", path.display())))
        };
        let exits = add(&layout.exits(), AddWatchFlags::IN_MOVED_TO)?;
        let pods = add(&layout.pods(), AddWatchFlags::IN_CREATE)?;
        let mut events = Self {
            watch,
            layout: layout.clone(),
            exits,
            pods,
            shims: HashMap::new(),
            pending: VecDeque::new(),
        };
        for pod in names(&layout.pods())? {
            events.watch_shim(pod);
        }
        Ok(events)
    }

    /// Becomes readable when an event is pending (for `AsyncFd`).
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    /// Takes one pending event without blocking. After a flood that the kernel could not queue, every end on record is
    /// told again: an event may come twice, but none is lost.
    pub fn try_next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(Some(event));
            }
            let news = match self.watch.read_events() {
                Err(Errno::EAGAIN) => return Ok(None),
                other => other.map_err(Error::io("reading container exits"))?,
            };
            for item in news {
                self.take(&item)?;
            }
        }
    }

    /// Watches a pod's shim. A pod that has gone meanwhile has nothing to tell.
    fn watch_shim(&mut self, pod: String) {
        let flags = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_ONLYDIR;
        if let Ok(descriptor) = self.watch.add_watch(&self.layout.pod(&pod), flags) {
            self.shims.insert(descriptor, pod);
        }
    }

    fn take(&mut self, item: &InotifyEvent) -> Result<(), Error> {
        let name = item.name.as_ref().and_then(|name| name.to_str());
        if item.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            self.pending
                .extend(names(&self.layout.exits())?.iter().filter_map(|name| event(name)));
            for pod in names(&self.layout.pods())? {
                self.watch_shim(pod);
            }
        } else if item.mask.contains(AddWatchFlags::IN_IGNORED) {
            self.shims.remove(&item.wd);
        } else if item.wd == self.exits {
            self.pending.extend(name.and_then(event));
        } else if item.wd == self.pods {
            if let Some(pod) = name {
                self.watch_shim(pod.to_owned());
            }
        } else if name == Some("shim.lock")
            && let Some(pod) = self.shims.get(&item.wd).cloned()
        {
            self.shim_ended(&pod)?;
        }
        Ok(())
    }

    /// Reports every container of a pod that has no record of its end.
    fn shim_ended(&mut self, pod: &str) -> Result<(), Error> {
        for id in names(&self.layout.containers())? {
            let path = self.layout.container(&id).join("container.json");
            let container = read_json::<StoredContainer>(&path).unwrap_or_else(|error| {
                // As in lists of containers, one bad record must not hide all the others.
                tracing::warn!(container = id, %error, "the record of a container cannot be read; it is left out");
                None
            });
            let of_pod = container.is_some_and(|container| container.sandbox == pod);
            if of_pod && !self.layout.exits().join(&id).exists() {
                self.pending.push_back(Event::Exited(id));
            }
        }
        Ok(())
    }
}
