//! A terminal of the container's own devpts. Allocates nothing.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::confined::{ensure_in_root, open_plain};
use super::failure::{Record, RecordKind};
use super::plan::TargetKind;
use crate::sys::{self, Errno, SysResult};

/// `DEVPTS_SUPER_MAGIC`.
const DEVPTS: i64 = 0x1cd1;

/// Makes a terminal in the devpts below `root`, sends its master through `channel`, and returns its slave. The slave
/// comes from the master itself, never from the name `/dev/pts/N`, which a neighbour could swap.
pub(super) fn make(
    root: BorrowedFd<'_>,
    channel: BorrowedFd<'_>,
    owner: u32,
    size: Option<(u16, u16)>,
) -> SysResult<OwnedFd> {
    let master = open_plain(root, c"dev/pts/ptmx", libc::O_RDWR | libc::O_NOCTTY)?;
    if sys::fs_type(master.as_fd())? != DEVPTS {
        return Err(Errno(libc::ENOTTY));
    }
    sys::unlock_terminal(master.as_fd())?;
    let slave = sys::open_peer(master.as_fd())?;
    if let Some((columns, rows)) = size {
        sys::set_size(master.as_fd(), columns, rows)?;
    }
    sys::chown_fd(slave.as_fd(), owner, u32::MAX)?;
    let record = Record {
        kind: RecordKind::Terminal,
    }
    .encode();
    sys::send_with_fds(channel, &record, &[master.as_fd()])?;
    Ok(slave)
}

/// Shows the terminal as `/dev/console`.
pub(super) fn bind_console(root: BorrowedFd<'_>, slave: BorrowedFd<'_>) -> SysResult<()> {
    let tree = sys::open_tree(slave, false)?;
    let target = ensure_in_root(root, c"dev/console", TargetKind::File)?;
    sys::move_mount(tree.as_fd(), target.as_fd())
}

/// Makes the slave this session's terminal and descriptors 0 to 2.
pub(super) fn take_over(slave: BorrowedFd<'_>) -> SysResult<()> {
    sys::become_controlling_terminal(slave)?;
    for target in 0..3 {
        sys::duplicate_to(slave, target)?;
    }
    Ok(())
}
