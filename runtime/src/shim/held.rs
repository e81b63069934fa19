//! What an interactive container (`stdinOnce`) wrote before anybody attached: kept for the first who does, so that
//! `kubectl run -it IMAGE -- quick-command` shows all of its output although attaching takes a moment.

/// Most bytes kept of one stream; the newest are.
const MOST: usize = 64 << 10;

/// The newest output of both streams.
#[derive(Debug, Default)]
pub(super) struct Held {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Held {
    /// Keeps `data`, and forgets what is older than the newest [`MOST`] bytes.
    pub(super) fn keep(&mut self, stderr: bool, data: &[u8]) {
        let kept = if stderr {
            &mut self.stderr
        } else {
            &mut self.stdout
        };
        kept.extend_from_slice(data);
        let old = kept.len().saturating_sub(MOST);
        kept.drain(..old);
    }

    /// What is kept of a stream.
    pub(super) fn of(&self, stderr: bool) -> &[u8] {
        if stderr { &self.stderr } else { &self.stdout }
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, MOST};

    #[test]
    fn the_newest_is_kept() {
        let mut held = Held::default();
        held.keep(false, b"old");
        held.keep(true, b"error");
        held.keep(false, &vec![b'x'; MOST - 1]);
        assert_eq!(held.of(false).len(), MOST);
        assert_eq!(held.of(false)[..2], *b"dx");
        assert_eq!(held.of(true), b"error");
    }
}
