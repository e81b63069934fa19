//! Pseudo-terminals.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{SysResult, check_int};

/// Unlocks the slave side of a freshly opened `ptmx`.
pub fn unlock_terminal(master: BorrowedFd<'_>) -> SysResult<()> {
    let unlock: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads an int.
    check_int(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock) })?;
    Ok(())
}

/// Opens the slave of this very master, by the kernel's own knowledge rather than by a name that could be swapped.
pub fn open_peer(master: BorrowedFd<'_>) -> SysResult<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags as its argument.
    let fd = check_int(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) })?;
    // SAFETY: a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes a terminal the controlling one of this session leader.
pub fn become_controlling_terminal(slave: BorrowedFd<'_>) -> SysResult<()> {
    // SAFETY: TIOCSCTTY takes an integer.
    check_int(unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
    Ok(())
}

/// Sets a terminal's size.
pub fn set_size(terminal: BorrowedFd<'_>, columns: u16, rows: u16) -> SysResult<()> {
    let size = libc::winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCSWINSZ reads a struct winsize.
    check_int(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })?;
    Ok(())
}

/// Columns and rows of a terminal; `None` if it is none.
pub fn size_of(terminal: BorrowedFd<'_>) -> Option<(u16, u16)> {
    // SAFETY: an all-zero winsize is a valid value of this plain C structure.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: TIOCGWINSZ writes a struct winsize.
    check_int(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) }).ok()?;
    Some((size.ws_col, size.ws_row))
}

/// A terminal's former settings.
#[derive(Clone, Copy)]
pub struct TerminalSettings(libc::termios);

impl std::fmt::Debug for TerminalSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TerminalSettings")
    }
}

/// Makes a terminal pass on every byte as it comes; returns its settings until now. `None` if it is no terminal.
pub fn make_raw(terminal: BorrowedFd<'_>) -> Option<TerminalSettings> {
    // SAFETY: an all-zero termios is a valid value of this plain C structure.
    let mut settings: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: `settings` is writable.
    check_int(unsafe { libc::tcgetattr(terminal.as_raw_fd(), &raw mut settings) }).ok()?;
    let before = TerminalSettings(settings);
    // SAFETY: `settings` was filled above; both calls only read or change it.
    unsafe {
        libc::cfmakeraw(&raw mut settings);
        libc::tcsetattr(terminal.as_raw_fd(), libc::TCSADRAIN, &raw const settings);
    }
    Some(before)
}

/// Gives a terminal its settings back.
pub fn restore_settings(terminal: BorrowedFd<'_>, settings: &TerminalSettings) {
    // SAFETY: the settings came from `tcgetattr`.
    unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSADRAIN, &raw const settings.0) };
}
