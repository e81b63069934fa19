//! Splitting a received datagram into messages.

/// One received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// Message type.
    pub(crate) kind: u16,
    /// `NLM_F_*`.
    pub(crate) flags: u16,
    /// Which request it answers.
    pub(crate) sequence: u32,
    /// After the netlink header.
    pub(crate) payload: &'a [u8],
}

const HEADER: usize = 16;

/// The messages of one datagram; stops at the first malformed one.
pub(super) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let header = datagram.get(..HEADER)?;
        let u16_at = |i: usize| u16::from_ne_bytes([header[i], header[i + 1]]);
        let u32_at = |i: usize| u32::from_ne_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
        let length = u32_at(0) as usize;
        let payload = datagram.get(HEADER..length)?;
        let message = Message {
            kind: u16_at(4),
            flags: u16_at(6),
            sequence: u32_at(8),
            payload,
        };
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_a_datagram() {
        let mut writer = Writer::new();
        writer.message(20, 1, 5, |w| w.raw(&[1, 2, 3, 4]));
        writer.message(21, 0, 6, |_| ());
        let bytes = writer.into_bytes();
        let all: Vec<_> = messages(&bytes).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[0].kind, all[0].sequence, all[0].payload),
            (20, 5, &[1, 2, 3, 4][..])
        );
        assert_eq!((all[1].kind, all[1].sequence), (21, 6));
    }

    proptest! {
        #[test]
        fn garbage_ends_the_walk(bytes: Vec<u8>) {
            prop_assert!(messages(&bytes).count() <= bytes.len() / HEADER + 1);
        }
    }
}
