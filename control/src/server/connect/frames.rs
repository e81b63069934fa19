//! Where WebSocket messages end in what a kubelet sends (RFC 6455 5.2).
//!
//! Each message goes on to the client in a write, and so in a TLS record, of its own, as it came. Python's client waits for
//! its socket to be readable although it may have the next message in the record that it has read already.

/// Follows a stream of frames.
#[derive(Debug, Default)]
pub struct Frames {
    /// The beginning of a frame, as far as it has come.
    head: Vec<u8>,
    /// How much is still to come of the frame whose head is complete.
    left: Option<u64>,
}

impl Frames {
    /// How many of these bytes, which follow those before, go up to the end of a frame; all if none ends here.
    pub fn piece(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while self.left.is_none() {
            let Some(byte) = bytes.get(at) else {
                return at;
            };
            self.head.push(*byte);
            at += 1;
            self.left = length(&self.head);
        }
        let left = self.left.unwrap_or(0);
        let taken = left.min((bytes.len() - at) as u64);
        self.left = Some(left - taken);
        if left == taken {
            self.left = None;
            self.head.clear();
        }
        at + taken as usize
    }
}

/// Length of the payload, once the head is complete.
fn length(head: &[u8]) -> Option<u64> {
    let short = head.get(1)? & 0x7f;
    let mask = if head[1] & 0x80 == 0 { 0 } else { 4 };
    let wide = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if head.len() < 2 + wide + mask {
        return None;
    }
    if wide == 0 {
        return Some(u64::from(short));
    }
    let bytes = head[2..2 + wide].iter();
    Some(bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(payload: &[u8], masked: bool) -> Vec<u8> {
        let mut frame = vec![0x82];
        let mask = if masked { 0x80 } else { 0 };
        match payload.len() {
            short @ 0..126 => frame.push(mask | short as u8),
            long @ 126..65_536 => {
                frame.push(mask | 0x7e);
                frame.extend_from_slice(&(long as u16).to_be_bytes());
            }
            longest => {
                frame.push(mask | 127);
                frame.extend_from_slice(&(longest as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend_from_slice(&[1, 2, 3, 4]);
        }
        frame.extend_from_slice(payload);
        frame
    }

    proptest! {
        #[test]
        fn ends_are_found_however_the_stream_is_cut(
            sizes in proptest::collection::vec((0..300_usize, any::<bool>()), 1..8),
            large in 65_000..66_000_usize,
            cuts in proptest::collection::vec(1..500_usize, 1..20),
        ) {
            let mut frames: Vec<Vec<u8>> = sizes.iter().map(|(size, masked)| frame(&vec![7; *size], *masked)).collect();
            frames.push(frame(&vec![7; large], false));
            let stream = frames.concat();
            let (mut follow, mut ends, mut at, mut turn) = (Frames::default(), Vec::new(), 0, 0);
            while at < stream.len() {
                let end = stream.len().min(at + cuts[turn % cuts.len()]);
                turn += 1;
                while at < end {
                    let piece = follow.piece(&stream[at..end]);
                    prop_assert!(piece > 0 && piece <= end - at);
                    at += piece;
                    if follow.left.is_none() && follow.head.is_empty() {
                        ends.push(at);
                    }
                }
            }
            let wanted: Vec<usize> = frames
                .iter()
                .scan(0, |sum, frame| {
                    *sum += frame.len();
                    Some(*sum)
                })
                .collect();
            prop_assert_eq!(ends, wanted);
        }

        #[test]
        fn any_bytes_go_through(bytes in proptest::collection::vec(any::<u8>(), 1..200)) {
            let (mut follow, mut at) = (Frames::default(), 0);
            while at < bytes.len() {
                let piece = follow.piece(&bytes[at..]);
                prop_assert!(piece > 0);
                at += piece;
            }
        }
    }
}
