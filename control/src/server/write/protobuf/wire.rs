//! The protobuf wire format (protobuf.dev/programming-guides/encoding), without copying.

use super::ProtobufError;

/// A value on the wire.
#[derive(Debug, Clone, Copy)]
pub enum Raw<'a> {
    /// Varint, or fixed bits.
    Number(u64),
    /// Length-delimited: text, bytes, message.
    Bytes(&'a [u8]),
}

impl<'a> Raw<'a> {
    /// As a number.
    pub fn number(&self) -> Result<u64, ProtobufError> {
        match self {
            Self::Number(number) => Ok(*number),
            // Absent.
            Self::Bytes([]) => Ok(0),
            Self::Bytes(_) => Err(ProtobufError::Malformed("number")),
        }
    }

    /// As bytes.
    pub fn bytes(&self) -> Result<&'a [u8], ProtobufError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) => Err(ProtobufError::Malformed("bytes")),
        }
    }

    /// As text.
    pub fn text(&self) -> Result<&'a str, ProtobufError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| ProtobufError::Malformed("UTF-8"))
    }
}

/// Reads the fields of one message.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Over the bytes of a message.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(ProtobufError::Malformed("varint"))?;
            self.0 = rest;
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ProtobufError::Malformed("varint"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(ProtobufError::Malformed("length"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<u64, ProtobufError> {
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(self.take(N)?);
        Ok(u64::from_le_bytes(bytes))
    }

    /// The next number of a packed list.
    pub fn varint_or_end(&mut self) -> Result<Option<u64>, ProtobufError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        self.varint().map(Some)
    }

    /// The next field: its number and value.
    #[allow(clippy::should_implement_trait)] // it is an iterator of results that stops at the first error
    pub fn next(&mut self) -> Result<Option<(u32, Raw<'a>)>, ProtobufError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| ProtobufError::Malformed("field number"))?;
        let value = match key & 7 {
            0 => Raw::Number(self.varint()?),
            1 => Raw::Number(self.fixed::<8>()?),
            2 => {
                let length =
                    usize::try_from(self.varint()?).map_err(|_| ProtobufError::Malformed("length"))?;
                Raw::Bytes(self.take(length)?)
            }
            5 => Raw::Number(self.fixed::<4>()?),
            _ => return Err(ProtobufError::Malformed("wire type")),
        };
        Ok(Some((number, value)))
    }
}
