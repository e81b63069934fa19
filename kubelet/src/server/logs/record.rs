//! The CRI log format (kubernetes/design-proposals, kubelet-cri-logging): `TIME STREAM TAG CONTENT\n`, TAG `F` for a
//! line's end and `P` for a piece that goes on in the next record.

use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::server::query::LogOptions;

/// One record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// RFC 3339 with nanoseconds, as written.
    pub time: &'a str,
    /// Whether it ends a line.
    pub full: bool,
    pub content: &'a [u8],
}

impl<'a> Record<'a> {
    /// Parses a record without its newline; `None` for anything else.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let time = std::str::from_utf8(parts.next()?).ok()?;
        if !matches!(parts.next()?, b"stdout" | b"stderr") {
            return None;
        }
        // Further tags may follow after colons.
        let full = match parts.next()?.split(|byte| *byte == b':').next()? {
            b"F" => true,
            b"P" => false,
            _ => return None,
        };
        Some(Self {
            time,
            full,
            content: parts.next().unwrap_or_default(),
        })
    }

    fn is_before(&self, since: SystemTime) -> bool {
        OffsetDateTime::parse(self.time, &Rfc3339).is_ok_and(|time| SystemTime::from(time) < since)
    }
}

/// Turns records into what the client reads.
#[derive(Debug)]
pub(super) struct Printer {
    timestamps: bool,
    since: Option<SystemTime>,
    left: Option<u64>,
    /// The last record printed was a piece.
    within_line: bool,
}

impl Printer {
    pub(super) fn new(options: &LogOptions) -> Self {
        Self {
            timestamps: options.timestamps,
            since: options.since,
            left: options.limit,
            within_line: false,
        }
    }

    /// Nothing more will be printed.
    pub(super) fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    /// Appends what a record shows.
    pub(super) fn print(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        if let Some(since) = self.since {
            if record.is_before(since) {
                return;
            }
            // Records are in order.
            self.since = None;
        }
        if self.timestamps && !self.within_line {
            self.put(record.time.as_bytes(), out);
            self.put(b" ", out);
        }
        self.put(record.content, out);
        if record.full {
            self.put(b"\n", out);
        }
        self.within_line = !record.full;
    }

    fn put(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let count = self.left.map_or(bytes.len(), |left| {
            bytes.len().min(left.try_into().unwrap_or(usize::MAX))
        });
        out.extend_from_slice(&bytes[..count]);
        if let Some(left) = &mut self.left {
            *left -= count as u64;
        }
    }
}
