//! The conversation with a child until it execs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::failure::{Record, RecordKind};
use crate::sys::{self, Errno, SysResult};

/// What a child said.
#[derive(Debug)]
pub struct Message {
    /// The record.
    pub kind: RecordKind,
    /// A descriptor that came along.
    pub fd: Option<OwnedFd>,
    /// What belongs to a failure: a hook's output, the kernel's own words.
    pub text: String,
}

/// Our end of the conversation with a child until it execs, when it closes.
#[derive(Debug)]
pub struct Channel(pub(super) OwnedFd);

impl Channel {
    /// Takes the child's next record, and a descriptor if one came along. `None` when the child has exec'd (or died).
    /// Blocks unless the descriptor was made non-blocking.
    pub fn receive(&self) -> SysResult<Option<(RecordKind, Option<OwnedFd>)>> {
        Ok(self.receive_message()?.map(|message| (message.kind, message.fd)))
    }

    /// As [`Channel::receive`], with the text that belongs to a failure.
    pub fn receive_message(&self) -> SysResult<Option<Message>> {
        let mut buffer = [0; Record::SIZE + Record::TEXT];
        let mut fds = Vec::new();
        let n = match sys::receive_with_fds(self.0.as_fd(), &mut buffer, &mut fds) {
            Ok(n) => n,
            // The child ended without reading what we had sent: the same as end of stream.
            Err(Errno(libc::ECONNRESET)) => 0,
            Err(errno) => return Err(errno),
        };
        if n == 0 {
            return Ok(None);
        }
        let record = Record::decode(&buffer[..n]).ok_or(Errno(libc::EBADMSG))?;
        Ok(Some(Message {
            kind: record.kind,
            fd: fds.pop(),
            text: String::from_utf8_lossy(&buffer[Record::SIZE..n]).into_owned(),
        }))
    }

    /// Lets a created container run, or go on after the runtime's hooks.
    pub fn open_gate(&self) -> SysResult<()> {
        sys::send_with_fds(self.0.as_fd(), b"go", &[]).map(|_| ())
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
