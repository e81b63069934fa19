//! Frames between the host and a machine: one byte for the kind, four for the length (little endian), the payload.

use std::io::{self, ErrorKind, Read, Write};

/// A message in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Guest: up, with its kernel release.
    Hello(String),
    /// Host: run this shell script.
    Run(String),
    /// Guest: output of the script.
    Output(Vec<u8>),
    /// Guest: the script's end mark with its exit code; 128 + signal if a signal ended it.
    Exit(i32),
    /// Host: write back what is cached, and power off.
    PowerOff,
}

/// Longest payload that is accepted, in bytes.
const MAX_PAYLOAD: usize = 1 << 20;

impl Frame {
    /// Writes the frame in one call.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let code;
        let (kind, payload): (u8, &[u8]) = match self {
            Self::Hello(release) => (1, release.as_bytes()),
            Self::Run(script) => (2, script.as_bytes()),
            Self::Output(bytes) => (3, bytes),
            Self::Exit(value) => {
                code = value.to_le_bytes();
                (4, &code)
            }
            Self::PowerOff => (5, &[]),
        };
        let mut bytes = Vec::with_capacity(5 + payload.len());
        bytes.push(kind);
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend(payload);
        to.write_all(&bytes)
    }

    /// Reads a frame; `None` at an end between frames.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut kind = [0];
        if from.read(&mut kind)? == 0 {
            return Ok(None);
        }
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_PAYLOAD {
            return Err(bad(format!("a frame of {length} bytes")));
        }
        let mut payload = vec![0; length];
        from.read_exact(&mut payload)?;
        let text = |bytes| String::from_utf8(bytes).map_err(|e| bad(e.to_string()));
        Ok(Some(match kind[0] {
            1 => Self::Hello(text(payload)?),
            2 => Self::Run(text(payload)?),
            3 => Self::Output(payload),
            4 => Self::Exit(i32::from_le_bytes(
                payload
                    .try_into()
                    .map_err(|_| bad("an exit code of another length".into()))?,
            )),
            5 => Self::PowerOff,
            other => return Err(bad(format!("a frame of kind {other}"))),
        }))
    }
}

fn bad(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_went() {
        let frames = [
            Frame::Hello("6.1.0".into()),
            Frame::Run("exit 3".into()),
            Frame::Output(vec![0, 255]),
            Frame::Exit(-3),
            Frame::PowerOff,
        ];
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.write(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        for frame in frames {
            assert_eq!(Frame::read(&mut rest).unwrap(), Some(frame));
        }
        assert_eq!(Frame::read(&mut rest).unwrap(), None);
    }

    #[test]
    fn cut_and_foreign_frames_are_errors() {
        let mut bytes = Vec::new();
        Frame::Run("true".into()).write(&mut bytes).unwrap();
        for end in 1..bytes.len() {
            assert!(Frame::read(&mut &bytes[..end]).is_err(), "{end}");
        }
        assert!(Frame::read(&mut &[9, 0, 0, 0, 0][..]).is_err());
        assert!(Frame::read(&mut &[3, 255, 255, 255, 255][..]).is_err());
        assert!(Frame::read(&mut &[4, 1, 0, 0, 0, 7][..]).is_err());
    }
}
