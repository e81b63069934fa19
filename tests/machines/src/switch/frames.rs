//! Ethernet frames on a stream, as QEMU's `-netdev stream` sends them: four bytes of length, big endian, and the frame.

/// Longest frame that is accepted: a virtio interface with segmentation offload sends up to 64 KiB and its headers.
const MAX_FRAME: usize = 128 << 10;

/// Bytes that have come, not yet whole frames.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    bytes: Vec<u8>,
    at: usize,
}

/// A peer that does not speak this protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbage;

impl Incoming {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend(bytes);
    }

    /// The next whole frame with its length in front, as it is sent on.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Garbage> {
        let rest = &self.bytes[self.at..];
        let Some((length, frame)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > MAX_FRAME {
            return Err(Garbage);
        }
        if frame.len() < length {
            return Ok(None);
        }
        let whole = rest[..4 + length].to_vec();
        self.at += whole.len();
        Ok(Some(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_from_the_stream() {
        let stream = [&[0, 0, 0, 3, 1, 2, 3][..], &[0, 0, 0, 0], &[0, 0, 0, 1, 9]].concat();
        for step in 1..stream.len() {
            let mut incoming = Incoming::default();
            let mut found = Vec::new();
            for piece in stream.chunks(step) {
                incoming.push(piece);
                while let Some(frame) = incoming.next().unwrap() {
                    found.push(frame);
                }
            }
            assert_eq!(
                found,
                [vec![0, 0, 0, 3, 1, 2, 3], vec![0; 4], vec![0, 0, 0, 1, 9]],
                "{step}"
            );
        }
    }

    #[test]
    fn a_senseless_length_is_refused() {
        let mut incoming = Incoming::default();
        incoming.push(&[255; 8]);
        assert_eq!(incoming.next(), Err(Garbage));
    }
}
