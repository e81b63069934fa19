//! An Ethernet switch between machines, over unix stream sockets of this process: no privileges, and the host's network is
//! not touched. Each port's link can be cut, delayed and made lossy.

mod frames;
mod link;
mod run;
mod table;
#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{Error, work};
use link::Link;

/// A running switch; dropping it cuts every link.
#[derive(Debug)]
pub struct Switch {
    // Closed to end the thread.
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

/// A port of a switch. Its link is one machine's at a time; a machine that is booted anew gets it again.
#[derive(Debug, Clone)]
pub struct Port {
    number: u16,
    path: PathBuf,
    link: Arc<Mutex<Link>>,
}

impl Switch {
    /// Starts a switch with that many ports.
    pub fn new(count: u16) -> Result<(Self, Vec<Port>), Error> {
        let directory = work::directory()?;
        let mut ports = Vec::new();
        let mut listeners = Vec::new();
        for number in 1..=count {
            let path = directory.path().join(number.to_string());
            listeners.push(UnixListener::bind(&path).map_err(Error::io("binding a switch's port"))?);
            ports.push(Port {
                number,
                path,
                link: Arc::default(),
            });
        }
        let (stopped, stop) = std::io::pipe().map_err(Error::io("making a pipe"))?;
        let links = ports.iter().map(|port| Arc::clone(&port.link)).collect();
        let thread = thread::spawn(move || {
            if let Err(error) = run::run(&listeners, links, &stopped.into()) {
                eprintln!("switch: {error}");
            }
        });
        let switch = Self {
            stop: Some(stop.into()),
            thread: Some(thread),
            _directory: directory,
        };
        Ok((switch, ports))
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Port {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    fn change(&self, change: impl FnOnce(&mut Link)) {
        change(&mut self.link.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Lets nothing through in either direction, as an unplugged cable (the machine's carrier stays).
    pub fn cut(&self) {
        self.change(|link| link.up = false);
    }

    /// Lets frames through again; delays and losses stay as they are.
    pub fn restore(&self) {
        self.change(|link| link.up = true);
    }

    /// Delays every frame by that much in each direction.
    pub fn delay(&self, by: Duration) {
        self.change(|link| link.delay = by);
    }

    /// Loses one of every `count` frames; 0 loses none.
    pub fn lose_one_in(&self, count: u32) {
        self.change(|link| link.lose_one_in(count));
    }
}
