//! Small maps of text to text in one allocation: the labels and selectable fields of every stored object.
//!
//! A `BTreeMap<String, String>` of three labels takes more than 700 bytes, which counts when thousands of objects and
//! their past states are held.

use std::fmt;

/// Bytes before each pair: the lengths of key and value.
const HEADER: usize = 8;

/// Pairs of text, in the order in which they were given. Looking one up walks them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pairs(Box<[u8]>);

impl Pairs {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter()
            .find(|(found, _)| *found == key)
            .map(|(_, value)| value)
    }

    /// All pairs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let (header, after) = rest.split_at_checked(HEADER)?;
            let length = |at: usize| {
                let mut bytes = [0; 4];
                bytes.copy_from_slice(&header[at..at + 4]);
                u32::from_le_bytes(bytes) as usize
            };
            let (key, after) = after.split_at_checked(length(0))?;
            let (value, after) = after.split_at_checked(length(4))?;
            rest = after;
            Some((std::str::from_utf8(key).ok()?, std::str::from_utf8(value).ok()?))
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes that they take on the heap.
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Pairs {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(pairs: T) -> Self {
        let mut out = Vec::new();
        for (key, value) in pairs {
            let (key, value) = (key.as_ref().as_bytes(), value.as_ref().as_bytes());
            // Request bodies are far smaller than 4 GiB.
            out.extend_from_slice(&(key.len() as u32).to_le_bytes());
            out.extend_from_slice(&(value.len() as u32).to_le_bytes());
            out.extend_from_slice(key);
            out.extend_from_slice(value);
        }
        Self(out.into())
    }
}

impl fmt::Debug for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_map(map in proptest::collection::btree_map(".{0,8}", ".{0,8}", 0..6), other in ".{0,8}") {
            let pairs: Pairs = map.iter().collect();
            let back: BTreeMap<String, String> =
                pairs.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            prop_assert_eq!(&back, &map);
            prop_assert_eq!(pairs.get(&other), map.get(&other).map(String::as_str));
        }
    }
}
