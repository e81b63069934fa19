//! Owners of volume content: `fsGroup`, and the user of token files.

use std::os::unix::fs::lchown;
use std::path::Path;

use super::Error;

/// Who owns what is written; `None` leaves root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Owner {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// Changes the owner without following a link.
pub(super) fn chown(path: &Path, uid: Option<u32>, gid: Option<u32>) -> Result<(), Error> {
    lchown(path, uid, gid).map_err(Error::io(format!("chown {}", path.display())))
}
