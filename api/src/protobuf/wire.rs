//! The protobuf wire format (protobuf.dev/programming-guides/encoding): reading without copying, and writing.

use super::DecodeError;

/// A value on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Raw<'a> {
    /// A number of variable length.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Four bytes.
    Fixed32,
    /// Length-delimited: text, bytes, message.
    Bytes(&'a [u8]),
    /// A group, which nothing here uses.
    Group,
}

impl<'a> Raw<'a> {
    /// As an integer.
    pub fn number(&self) -> Result<u64, DecodeError> {
        match self {
            Self::Varint(number) => Ok(*number),
            _ => Err(DecodeError::WireType("number")),
        }
    }

    /// As floating point.
    pub fn double(&self) -> Result<f64, DecodeError> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(*bits)),
            _ => Err(DecodeError::WireType("double")),
        }
    }

    /// As bytes.
    pub fn bytes(&self) -> Result<&'a [u8], DecodeError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(DecodeError::WireType("text, bytes or message")),
        }
    }

    /// As text.
    pub fn text(&self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Malformed("UTF-8"))
    }
}

/// Reads the fields of one message.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Over the bytes of a message.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(DecodeError::Malformed("varint"))?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Malformed("varint"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(DecodeError::Malformed("length"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next number of a packed list.
    pub fn packed(&mut self) -> Result<Option<u64>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        self.varint().map(Some)
    }

    /// The next field: its number and value; `None` at the end.
    pub fn field(&mut self) -> Result<Option<(u32, Raw<'a>)>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = self.key()?;
        let value = match wire_type {
            3 => {
                self.group()?;
                Raw::Group
            }
            wire_type => self.value(wire_type)?,
        };
        Ok(Some((number, value)))
    }

    fn key(&mut self) -> Result<(u32, u8), DecodeError> {
        let key = self.varint()?;
        match u32::try_from(key >> 3) {
            Ok(number) if number > 0 => Ok((number, (key & 7) as u8)),
            _ => Err(DecodeError::Malformed("field number")),
        }
    }

    fn value(&mut self, wire_type: u8) -> Result<Raw<'a>, DecodeError> {
        Ok(match wire_type {
            0 => Raw::Varint(self.varint()?),
            1 => {
                let mut bits = [0; 8];
                bits.copy_from_slice(self.take(8)?);
                Raw::Fixed64(u64::from_le_bytes(bits))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| DecodeError::Malformed("length"))?;
                Raw::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Raw::Fixed32
            }
            _ => return Err(DecodeError::Malformed("wire type")),
        })
    }

    /// Skips to the end of a group, without recursion.
    fn group(&mut self) -> Result<(), DecodeError> {
        let mut open = 1_usize;
        while open > 0 {
            match self.key()?.1 {
                3 => open += 1,
                4 => open -= 1,
                wire_type => drop(self.value(wire_type)?),
            }
        }
        Ok(())
    }
}

/// Appends a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that a varint takes.
pub(crate) fn varint_length(value: usize) -> usize {
    (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Appends an integer field.
pub(crate) fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// Appends a field of eight bytes.
pub(crate) fn put_double(out: &mut Vec<u8>, number: u32, value: f64) {
    put_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field with a length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Begins a field whose length is not known yet; returns where its content begins.
pub(crate) fn open(out: &mut Vec<u8>, number: u32) -> usize {
    put_varint(out, u64::from(number) << 3 | 2);
    out.push(0);
    out.len()
}

/// Ends the field whose content began at `start`. Its length takes one byte mostly; otherwise the content moves on.
pub(crate) fn close(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    let more = varint_length(length) - 1;
    if more > 0 {
        let end = out.len();
        out.resize(end + more, 0);
        out.copy_within(start..end, start + more);
    }
    let mut value = length;
    for byte in &mut out[start - 1..start + more] {
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    // The last one says that nothing follows.
    out[start - 1 + more] &= 0x7f;
}
