//! Where in an object something is.

use std::fmt::{self, Display};

/// Most bytes of a place that are written. Errors and warnings show less.
const LONGEST: usize = 8192;

/// A place in an object. It is written out only when there is something to tell of it: of a million items, each may have a
/// name of a megabyte above it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'a> {
    /// Where the object itself is, perhaps nowhere.
    Root(&'a str),
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl Path<'_> {
    /// A field of what is here.
    pub fn field<'a>(&'a self, name: &'a str) -> Path<'a> {
        Path::Field(self, name)
    }

    /// An item of the list that is here.
    pub fn item(&self, index: usize) -> Path<'_> {
        Path::Item(self, index)
    }
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = vec![self];
        while let Some(Self::Field(parent, _) | Self::Item(parent, _)) = steps.last().copied() {
            steps.push(*parent);
        }
        let mut left = LONGEST;
        let mut text = |f: &mut fmt::Formatter<'_>, text: &str| {
            let shown = &text[..text.floor_char_boundary(left)];
            left -= shown.len();
            f.write_str(shown)
        };
        for step in steps.into_iter().rev() {
            match step {
                Self::Root(path) => text(f, path)?,
                Self::Field(Path::Root(""), name) => text(f, name)?,
                Self::Field(_, name) => {
                    text(f, ".")?;
                    text(f, name)?;
                }
                Self::Item(_, index) => text(f, &format!("[{index}]"))?,
            }
        }
        Ok(())
    }
}

impl From<Path<'_>> for String {
    fn from(path: Path<'_>) -> Self {
        path.to_string()
    }
}

impl From<&Path<'_>> for String {
    fn from(path: &Path<'_>) -> Self {
        path.to_string()
    }
}
