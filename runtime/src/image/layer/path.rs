//! Names of tar members, taken apart without trusting them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::image::Error;

/// Longest path of a member, in bytes (PATH_MAX).
const PATH_LIMIT: usize = 4096;
/// Longest component (NAME_MAX).
const NAME_LIMIT: usize = 255;

/// The components of a member's name. A leading slash is dropped, as every tar does; `..` is refused.
/// Empty for the layer's root (`./`).
pub(super) fn components(name: &[u8]) -> Result<Vec<OsString>, Error> {
    let components = split(name)?;
    if components.iter().any(|component| component == "..") {
        return Err(Error::Invalid("a name in the layer contains \"..\"".to_owned()));
    }
    Ok(components)
}

/// As [`components`], with `..` kept: for the targets of symlinks, which may climb within the image.
pub(super) fn split(name: &[u8]) -> Result<Vec<OsString>, Error> {
    if name.len() > PATH_LIMIT || name.contains(&0) {
        return Err(Error::Invalid(
            "a name in the layer is too long or has a NUL".to_owned(),
        ));
    }
    name.split(|byte| *byte == b'/')
        .filter(|component| !component.is_empty() && *component != b".")
        .map(|component| {
            if component.len() > NAME_LIMIT {
                return Err(Error::Invalid("a name in the layer is too long".to_owned()));
            }
            Ok(OsString::from_vec(component.to_vec()))
        })
        .collect()
}

/// What the last component of a name asks for (OCI image spec, layer.md#whiteouts).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Marker<'a> {
    /// An ordinary member.
    None,
    /// `.wh.NAME`: NAME of the layers below is gone.
    Whiteout(&'a OsStr),
    /// `.wh..wh..opq`: the directory hides everything below it.
    Opaque,
    /// Other `.wh..wh.` names: bookkeeping of aufs, without meaning.
    Reserved,
}

/// Recognizes whiteouts.
pub(super) fn marker(name: &OsStr) -> Result<Marker<'_>, Error> {
    let Some(target) = name.as_bytes().strip_prefix(b".wh.") else {
        return Ok(Marker::None);
    };
    match target {
        b".wh..opq" => Ok(Marker::Opaque),
        _ if target.starts_with(b".wh.") => Ok(Marker::Reserved),
        b"" | b"." | b".." => Err(Error::Invalid("a whiteout names no file".to_owned())),
        target => Ok(Marker::Whiteout(OsStr::from_bytes(target))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        assert_eq!(components(b"./a//b/./c/").unwrap(), ["a", "b", "c"]);
        assert_eq!(components(b"/etc/passwd").unwrap(), ["etc", "passwd"]);
        assert!(components(b"./").unwrap().is_empty());
        for bad in [
            &b"../a"[..],
            b"a/../b",
            b"a/..",
            b"a\0b",
            &[b'a'; 256],
            &b"a/".repeat(3000),
        ] {
            assert!(components(bad).is_err());
        }
    }

    #[test]
    fn whiteouts_name_one_file() {
        assert_eq!(marker(OsStr::new("a")).unwrap(), Marker::None);
        assert_eq!(
            marker(OsStr::new(".wh.a")).unwrap(),
            Marker::Whiteout(OsStr::new("a"))
        );
        assert_eq!(marker(OsStr::new(".wh..wh..opq")).unwrap(), Marker::Opaque);
        assert_eq!(marker(OsStr::new(".wh..wh.plnk")).unwrap(), Marker::Reserved);
        for bad in [".wh.", ".wh..", ".wh..."] {
            assert!(marker(OsStr::new(bad)).is_err(), "{bad}");
        }
    }
}
