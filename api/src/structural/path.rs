//! Where in an object something is.

use std::fmt::{self, Display};

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
        match self {
            Self::Root(path) => f.write_str(path),
            Self::Field(Path::Root(""), name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
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
