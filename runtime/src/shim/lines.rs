//! Output bytes to records of the CRI log format: `TIME STREAM TAG CONTENT`, with the tag `F` for a line and `P` for a
//! piece of one (Kubernetes CRI, `logging.md`). Pure.

use std::time::{SystemTime, UNIX_EPOCH};

/// Longest content of one record; a longer line is cut into pieces (containerd's `max_container_log_line_size`).
pub const MAX_CONTENT: usize = 16 << 10;

/// Nanoseconds since the epoch.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos() as u64)
}

/// Year, month and day of a day number since 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_part = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_part + 2) / 5 + 1;
    let month = if month_part < 10 {
        month_part + 3
    } else {
        month_part - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// RFC 3339 with nanoseconds, UTC.
pub fn rfc3339(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:09}Z",
        nanos % 1_000_000_000
    )
}

/// The kubelet's suffix of a rotated log: `YYYYMMDD-HHMMSS`.
pub fn rotation_suffix(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

/// One output stream's unfinished line.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Appends to `out` the records of `data` that can be told; keeps an unfinished line of at most [`MAX_CONTENT`].
    pub fn push(&mut self, mut data: &[u8], time: &str, stream: &str, out: &mut Vec<u8>) {
        while !data.is_empty() {
            let room = MAX_CONTENT - self.partial.len();
            let line_end = data.iter().take(room + 1).position(|b| *b == b'\n');
            match line_end {
                Some(n) => {
                    self.record(&data[..n], time, stream, "F", out);
                    data = &data[n + 1..];
                }
                None if data.len() > room => {
                    self.record(&data[..room], time, stream, "P", out);
                    data = &data[room..];
                }
                None => {
                    self.partial.extend_from_slice(data);
                    return;
                }
            }
        }
    }

    /// Writes what is left of a stream that has ended: a piece, for no newline came.
    pub fn finish(&mut self, time: &str, stream: &str, out: &mut Vec<u8>) {
        if !self.partial.is_empty() {
            self.record(&[], time, stream, "P", out);
        }
    }

    fn record(&mut self, tail: &[u8], time: &str, stream: &str, tag: &str, out: &mut Vec<u8>) {
        for part in [
            time.as_bytes(),
            b" ",
            stream.as_bytes(),
            b" ",
            tag.as_bytes(),
            b" ",
            &self.partial,
            tail,
            b"\n",
        ] {
            out.extend_from_slice(part);
        }
        self.partial = Vec::new(); // gives the memory back: most lines are short, and arrive whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(chunks: &[&[u8]]) -> String {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, "T", "stdout", &mut out);
        }
        lines.finish("T", "stdout", &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn whole_and_split_lines() {
        assert_eq!(run(&[b"a\nb\n"]), "T stdout F a\nT stdout F b\n");
        assert_eq!(run(&[b"a", b"b\nc"]), "T stdout F ab\nT stdout P c\n");
        assert_eq!(run(&[b"\n\n"]), "T stdout F \nT stdout F \n");
    }

    #[test]
    fn long_lines_are_cut_and_end_full() {
        let long = vec![b'x'; MAX_CONTENT * 2 + 5];
        let text = run(&[&long, b"\n"]);
        let tags: Vec<_> = text.lines().map(|l| (l.as_bytes()[9], l.len() - 11)).collect();
        assert_eq!(tags, [(b'P', MAX_CONTENT), (b'P', MAX_CONTENT), (b'F', 5)]);
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_full() {
        let mut exact = vec![b'x'; MAX_CONTENT];
        exact.push(b'\n');
        assert!(run(&[&exact]).starts_with("T stdout F "));
    }

    #[test]
    fn times() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(951_782_400_000_000_001), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(rotation_suffix(1_795_249_953_000_000_000), "20261121-083233");
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost(chunks in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40_000), 0..4)) {
            let (mut lines, mut out) = (Lines::default(), Vec::new());
            for chunk in &chunks {
                lines.push(chunk, "T", "stderr", &mut out);
            }
            lines.finish("T", "stderr", &mut out);
            let mut back = Vec::new();
            for record in out.split_inclusive(|b| *b == b'\n') {
                let content = &record["T stderr F ".len()..record.len() - 1];
                proptest::prop_assert!(content.len() <= MAX_CONTENT);
                back.extend_from_slice(content);
                if record["T stderr ".len()] == b'F' { back.push(b'\n'); }
            }
            proptest::prop_assert_eq!(back, chunks.concat());
        }
    }
}
