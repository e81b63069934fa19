//! The byte format between the runtime and its shims, and of plans on disk: fixed-width little-endian numbers,
//! length-prefixed strings and lists, fields in order. Written out by hand so that the shim, which lives as long as
//! its pod, carries no serialisation framework.

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

/// Declares a struct and its byte form, field by field in order.
macro_rules! wire_struct {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        pub struct $name { $($(#[$field_meta])* pub $field: $kind,)* }
        impl $crate::wire::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::wire::Wire::put(&self.$field, out);)*
            }
            fn get(input: &mut &[u8]) -> Result<Self, $crate::wire::WireError> {
                Ok(Self { $($field: $crate::wire::Wire::get(input)?,)* })
            }
        }
    };
}
pub(crate) use wire_struct;

/// Declares an enum whose variants carry named fields, and its byte form: a tag byte, then the fields in order.
macro_rules! wire_enum {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $tag:literal { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)* })*
    }) => {
        $(#[$meta])*
        #[allow(clippy::large_enum_variant)] // messages are made, sent and dropped one at a time
        pub enum $name { $($(#[$variant_meta])* $variant { $($(#[$field_meta])* $field: $kind,)* },)* }
        impl $crate::wire::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant { $($field,)* } => {
                        out.push($tag);
                        $($crate::wire::Wire::put($field, out);)*
                    })*
                }
            }
            fn get(input: &mut &[u8]) -> Result<Self, $crate::wire::WireError> {
                match <u8 as $crate::wire::Wire>::get(input)? {
                    $($tag => Ok(Self::$variant { $($field: $crate::wire::Wire::get(input)?,)* }),)*
                    _ => Err($crate::wire::WireError),
                }
            }
        }
    };
}
pub(crate) use wire_enum;
