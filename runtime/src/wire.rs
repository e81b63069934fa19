//! The byte format between the runtime and its shims, and of plans on disk: fixed-width little-endian numbers,
//! length-prefixed strings and lists, fields in order. Written out by hand so that the shim, which lives as long as
//! its pod, carries no serialisation framework.
//!
//! A shim outlives upgrades of the runtime, and records outlive both, so structs and messages may grow: their fields are
//! behind a length, fields that the reader does not know are skipped, and those that the writer did not know get the value
//! that their declaration gives (`pub field: Type = value,`). Fields without one are from the first version, and required.
//! Therefore: new fields go to the end with a value, and a field is never removed or given another type.

use std::fmt;

/// The bytes do not hold what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireError;

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed message")
    }
}

impl std::error::Error for WireError {}

/// A value with a byte form.
pub trait Wire: Sized {
    /// Appends the bytes of `self`.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes a value off the front of `input`.
    fn get(input: &mut &[u8]) -> Result<Self, WireError>;

    /// The bytes of `self`.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    /// Reads a value that must fill `input` exactly.
    fn from_bytes(mut input: &[u8]) -> Result<Self, WireError> {
        let value = Self::get(&mut input)?;
        if input.is_empty() {
            Ok(value)
        } else {
            Err(WireError)
        }
    }
}

fn take<'a>(input: &mut &'a [u8], n: usize) -> Result<&'a [u8], WireError> {
    if n > input.len() {
        return Err(WireError);
    }
    let (head, tail) = input.split_at(n);
    *input = tail;
    Ok(head)
}

/// Appends what `fields` writes, behind its length.
pub(crate) fn put_block(out: &mut Vec<u8>, fields: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    fields(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Takes a block of fields off the front of `input`.
pub(crate) fn get_block<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], WireError> {
    let length = u32::get(input)? as usize;
    take(input, length)
}

/// Takes the next field of a block: one with a value for where it is missing may have been written before there was one.
macro_rules! wire_field {
    ($block:ident) => {
        $crate::wire::Wire::get(&mut $block)?
    };
    ($block:ident, $missing:expr) => {
        if $block.is_empty() {
            $missing
        } else {
            $crate::wire::Wire::get(&mut $block)?
        }
    };
}
pub(crate) use wire_field;

macro_rules! wire_number {
    ($($kind:ty),*) => {$(
        impl Wire for $kind {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn get(input: &mut &[u8]) -> Result<Self, WireError> {
                let bytes = take(input, size_of::<$kind>())?;
                Ok(Self::from_le_bytes(bytes.try_into().map_err(|_| WireError)?))
            }
        }
    )*};
}
wire_number!(u8, u16, u32, u64, i32, i64);

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn get(input: &mut &[u8]) -> Result<Self, WireError> {
        match u8::get(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError),
        }
    }
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        out.extend_from_slice(self.as_bytes());
    }
    fn get(input: &mut &[u8]) -> Result<Self, WireError> {
        let length = u32::get(input)? as usize;
        let bytes = take(input, length)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| WireError)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        for item in self {
            item.put(out);
        }
    }
    fn get(input: &mut &[u8]) -> Result<Self, WireError> {
        let count = u32::get(input)? as usize;
        // A count is believed only so far: an item is at least one byte here, and may be hundreds in memory.
        let mut items = Vec::with_capacity(count.min(input.len()).min(1024));
        for _ in 0..count {
            items.push(T::get(input)?);
        }
        Ok(items)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn get(input: &mut &[u8]) -> Result<Self, WireError> {
        if bool::get(input)? {
            T::get(input).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn get(input: &mut &[u8]) -> Result<Self, WireError> {
        Ok((A::get(input)?, B::get(input)?))
    }
}

/// Declares a struct and its byte form: a block of its fields in order.
macro_rules! wire_struct {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $kind:ty $(= $missing:expr)?,)* }) => {
        $(#[$meta])*
        pub struct $name { $($(#[$field_meta])* pub $field: $kind,)* }
        impl $crate::wire::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $crate::wire::put_block(out, |out| { $($crate::wire::Wire::put(&self.$field, out);)* });
            }
            fn get(input: &mut &[u8]) -> Result<Self, $crate::wire::WireError> {
                let mut block = $crate::wire::get_block(input)?;
                Ok(Self { $($field: $crate::wire::wire_field!(block $(, $missing)?),)* })
            }
        }
    };
}
pub(crate) use wire_struct;

/// Declares an enum whose variants carry named fields, and its byte form: a tag byte, then a block of
/// the fields in order.
macro_rules! wire_enum {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $tag:literal { $($(#[$field_meta:meta])* $field:ident: $kind:ty $(= $missing:expr)?,)* })*
    }) => {
        $(#[$meta])*
        #[allow(clippy::large_enum_variant)] // messages are made, sent and dropped one at a time
        pub enum $name { $($(#[$variant_meta])* $variant { $($(#[$field_meta])* $field: $kind,)* },)* }
        impl $crate::wire::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant { $($field,)* } => {
                        out.push($tag);
                        $crate::wire::put_block(out, |_out| { $($crate::wire::Wire::put($field, _out);)* });
                    })*
                }
            }
            fn get(input: &mut &[u8]) -> Result<Self, $crate::wire::WireError> {
                let tag = <u8 as $crate::wire::Wire>::get(input)?;
                let mut _block = $crate::wire::get_block(input)?;
                match tag {
                    $($tag => Ok(Self::$variant { $($field: $crate::wire::wire_field!(_block $(, $missing)?),)* }),)*
                    _ => Err($crate::wire::WireError),
                }
            }
        }
    };
}
pub(crate) use wire_enum;

#[cfg(test)]
mod tests {
    use super::*;

    wire_struct! {
        /// As an older version has it.
        #[derive(Debug, PartialEq)]
        pub struct Old {
            /// Known to both.
            pub name: String,
            /// Known to both.
            pub inner: (u32, bool),
        }
    }
    wire_struct! {
        /// As a newer version has it.
        #[derive(Debug, PartialEq)]
        pub struct New {
            /// Known to both.
            pub name: String,
            /// Known to both.
            pub inner: (u32, bool),
            /// New.
            pub list: Vec<String> = Vec::new(),
            /// New.
            pub nested: Option<Old> = None,
        }
    }
    wire_enum! {
        /// A message of an older version.
        #[derive(Debug, PartialEq)]
        pub enum OldMessage {
            /// Known to both.
            Say = 7 {
                /// Known to both.
                word: String,
            }
        }
    }
    wire_enum! {
        /// A message of a newer version.
        #[derive(Debug, PartialEq)]
        pub enum NewMessage {
            /// Known to both.
            Say = 7 {
                /// Known to both.
                word: String,
                /// New.
                times: Option<u64> = None,
            }
            /// New.
            Shout = 8 {}
        }
    }

    fn old() -> Old {
        Old {
            name: "a".to_owned(),
            inner: (1, true),
        }
    }

    #[test]
    fn versions_read_each_other() {
        let new = New {
            name: "a".to_owned(),
            inner: (1, true),
            list: Vec::new(),
            nested: None,
        };
        assert_eq!(New::from_bytes(&old().to_bytes()), Ok(new));
        let new = New {
            name: "a".to_owned(),
            inner: (1, true),
            list: vec!["x".to_owned()],
            nested: Some(old()),
        };
        assert_eq!(Old::from_bytes(&new.to_bytes()), Ok(old()));
        let word = || "hi".to_owned();
        assert_eq!(
            NewMessage::from_bytes(&OldMessage::Say { word: word() }.to_bytes()),
            Ok(NewMessage::Say {
                word: word(),
                times: None
            })
        );
        assert_eq!(
            OldMessage::from_bytes(
                &NewMessage::Say {
                    word: word(),
                    times: Some(3)
                }
                .to_bytes()
            ),
            Ok(OldMessage::Say { word: word() })
        );
        assert!(OldMessage::from_bytes(&NewMessage::Shout {}.to_bytes()).is_err());
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let bytes = old().to_bytes();
        let short = [&4_u32.to_le_bytes()[..], &0_u32.to_le_bytes()].concat();
        assert!(
            Old::from_bytes(&short).is_err(),
            "a field of the first version is required"
        );
        for cut in 1..bytes.len() {
            assert!(Old::from_bytes(&bytes[..cut]).is_err(), "{cut}");
        }
        for (at, with) in [(0, 0xff), (3, 0xff), (4, 0xff), (13, 2)] {
            let mut bad = bytes.clone();
            bad[at] = with;
            assert!(Old::from_bytes(&bad).is_err(), "{at}");
        }
    }
}
