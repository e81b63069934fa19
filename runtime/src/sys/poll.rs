//! Waiting for descriptors: epoll and signalfd.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{Errno, SysResult, check_int};

/// An epoll instance whose entries carry a token.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

/// One ready entry.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// The token it was added with.
    pub token: u64,
    /// `EPOLL*` bits.
    pub events: u32,
}

impl Epoll {
    /// A fresh, close-on-exec instance.
    pub fn new() -> SysResult<Self> {
        // SAFETY: takes an integer.
        let fd = check_int(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: a fresh descriptor that nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Adds a descriptor, level-triggered, for these `EPOLL*` events.
    pub fn add(&self, fd: BorrowedFd<'_>, events: i32, token: u64) -> SysResult<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, events, token)
    }

    /// Changes what a descriptor is watched for.
    pub fn modify(&self, fd: BorrowedFd<'_>, events: i32, token: u64) -> SysResult<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, events, token)
    }

    /// Stops watching a descriptor. Needed even before a close: a forked child may hold a copy of it for a moment.
    pub fn remove(&self, fd: BorrowedFd<'_>) {
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
    }

    fn control(&self, operation: i32, fd: BorrowedFd<'_>, events: i32, token: u64) -> SysResult<()> {
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: token,
        };
        // SAFETY: `event` is valid for the call.
        check_int(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd.as_raw_fd(), &raw mut event) })?;
        Ok(())
    }

    /// Blocks until something is ready and appends it to `ready` (cleared first). `timeout_ms` -1 waits for ever.
    pub fn wait(&self, ready: &mut Vec<Ready>, timeout_ms: i32) -> SysResult<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 32];
        ready.clear();
        // SAFETY: pointer and length describe `events`.
        let n = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), 32, timeout_ms) };
        match check_int(n) {
            Err(Errno(libc::EINTR)) => Ok(()),
            Err(errno) => Err(errno),
            Ok(n) => {
                ready.extend(events[..n as usize].iter().map(|e| Ready {
                    token: e.u64,
                    events: e.events,
                }));
                Ok(())
            }
        }
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A descriptor that becomes readable when SIGCHLD is pending (which must be blocked).
pub fn child_signal_fd() -> SysResult<OwnedFd> {
    // SAFETY: the set is a local, initialised by sigemptyset.
    let fd = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    // SAFETY: a fresh descriptor that nobody else owns, if the check passes.
    Ok(unsafe { OwnedFd::from_raw_fd(check_int(fd)?) })
}

/// Blocks every signal that can be, and returns a descriptor that carries them.
pub fn all_signals_fd() -> SysResult<OwnedFd> {
    // SAFETY: the set is a local, initialised by sigfillset.
    let fd = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        check_int(libc::sigprocmask(
            libc::SIG_BLOCK,
            &raw const set,
            std::ptr::null_mut(),
        ))?;
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    // SAFETY: a fresh descriptor that nobody else owns, if the check passes.
    Ok(unsafe { OwnedFd::from_raw_fd(check_int(fd)?) })
}

/// Number of the next pending signal of a signalfd.
pub fn read_signal(fd: BorrowedFd<'_>) -> Option<i32> {
    let mut buffer = [0u8; size_of::<libc::signalfd_siginfo>()];
    let n = super::read_fd(fd, &mut buffer).ok()?;
    // `ssi_signo`, the first field.
    (n == buffer.len()).then(|| i32::from_ne_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]))
}

/// Empties a signalfd.
pub fn drain_signal_fd(fd: BorrowedFd<'_>) {
    let mut buffer = [0u8; 512];
    while super::read_fd(fd, &mut buffer).is_ok_and(|n| n > 0) {}
}

/// Waits until `fd` is readable or hung up; false when the time ran out.
pub fn poll_readable(fd: BorrowedFd<'_>, timeout_ms: i32) -> SysResult<bool> {
    poll(fd, libc::POLLIN, timeout_ms)
}

/// Waits for an exceptional condition, which is how cgroup files announce a change; false when the time ran out.
pub fn poll_priority(fd: BorrowedFd<'_>, timeout_ms: i32) -> SysResult<bool> {
    poll(fd, libc::POLLPRI, timeout_ms)
}

fn poll(fd: BorrowedFd<'_>, events: i16, timeout_ms: i32) -> SysResult<bool> {
    let mut entry = libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    };
    loop {
        // SAFETY: one valid entry.
        match check_int(unsafe { libc::poll(&raw mut entry, 1, timeout_ms) }) {
            Err(Errno(libc::EINTR)) => {}
            other => return other.map(|n| n > 0),
        }
    }
}

/// Waits until one of two descriptors is readable or hung up, at most `timeout_ms`; which of them.
pub fn poll_two(first: BorrowedFd<'_>, second: BorrowedFd<'_>, timeout_ms: i32) -> SysResult<(bool, bool)> {
    let entry = |fd: BorrowedFd<'_>| libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut entries = [entry(first), entry(second)];
    // SAFETY: two valid entries.
    match check_int(unsafe { libc::poll(entries.as_mut_ptr(), 2, timeout_ms) }) {
        Err(Errno(libc::EINTR)) => Ok((false, false)),
        Err(errno) => Err(errno),
        Ok(_) => Ok((entries[0].revents != 0, entries[1].revents != 0)),
    }
}
