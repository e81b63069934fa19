//! Filesystems with options that are too long for fsconfig(2), such as an overlay of layers with long names: mounted by
//! the older call for a moment, then taken from there. Allocates nothing in the child.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};

use super::error::SpawnError;
use super::prepare::c_string;
use crate::sys::{self, SysResult};

/// Longest value of an option in fsconfig(2) (`strndup_user` with 256, NUL included).
const LONGEST: usize = 255;

/// A directory that every host has. In a mount namespace of one's own anything may be mounted over it.
const PLACE: &CStr = c"/sys";

/// The arguments of mount(2).
#[derive(Debug)]
pub(super) struct MountText {
    source: CString,
    data: CString,
}

impl MountText {
    /// Of options of which one is too long; `None` where fsconfig(2) takes them all.
    pub(super) fn needed(options: &[(String, Option<String>)]) -> Result<Option<Self>, SpawnError> {
        let long = |(_, value): &(String, Option<String>)| value.as_ref().is_some_and(|v| v.len() > LONGEST);
        if !options.iter().any(long) {
            return Ok(None);
        }
        let mut source = "none";
        let mut words = Vec::new();
        for (key, value) in options {
            match value {
                Some(value) if key == "source" => source = value,
                Some(value) => words.push(format!("{key}={value}")),
                None => words.push(key.clone()),
            }
        }
        Ok(Some(Self {
            source: c_string(source)?,
            data: c_string(&words.join(","))?,
        }))
    }

    /// The mount, attached nowhere.
    pub(super) fn mount(&self, kind: &CStr) -> SysResult<OwnedFd> {
        sys::mount_with_text(&self.source, PLACE, kind, &self.data)?;
        let tree = sys::open_path(PLACE, libc::O_PATH | libc::O_DIRECTORY)
            .and_then(|mounted| sys::open_tree(mounted.as_fd(), false));
        sys::unmount(PLACE)?;
        tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_for_what_is_too_long() {
        let option = |key: &str, value: Option<String>| (key.to_owned(), value);
        let short = [option("ro", None), option("lowerdir", Some("x".repeat(255)))];
        assert!(MountText::needed(&short).unwrap().is_none());
        let long = "x".repeat(256);
        let options = [
            option("source", Some("here".to_owned())),
            option("ro", None),
            option("lowerdir", Some(long.clone())),
        ];
        let text = MountText::needed(&options).unwrap().unwrap();
        assert_eq!(text.source.to_str().unwrap(), "here");
        assert_eq!(text.data.to_str().unwrap(), format!("ro,lowerdir={long}"));
    }
}
