//! The types whose JSON is not that of their message.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{EncodeError, Encoder};
use crate::protobuf::table::{self, Kind};
use crate::protobuf::wire::{close, open, put_bytes, put_number};
use crate::time;

impl Encoder<'_> {
    /// One value of such a type, which begins with this byte.
    pub(super) fn special(&mut self, number: u32, kind: Kind, first: u8) -> Result<(), EncodeError> {
        match (kind, first) {
            (Kind::Bytes, b'"') => {
                let text = self.json.string()?.text()?;
                if let Ok(bytes) = STANDARD.decode(&text) {
                    put_bytes(self.out, number, &bytes);
                }
                return Ok(());
            }
            (Kind::Time | Kind::MicroTime, b'"') => {
                let text = self.json.string()?.text()?;
                if let Some((seconds, nanos)) = moment(&text, kind == Kind::MicroTime) {
                    let mark = open(self.out, number);
                    put_number(self.out, 1, seconds as u64);
                    put_number(self.out, 2, nanos);
                    close(self.out, mark);
                }
                return Ok(());
            }
            (Kind::Quantity, b'-' | b'0'..=b'9') => {
                let text = self.json.number()?;
                let mark = open(self.out, number);
                put_bytes(self.out, 1, text.as_bytes());
                close(self.out, mark);
                return Ok(());
            }
            (Kind::IntOrString, b'-' | b'0'..=b'9') => {
                let value = self.integer()?.unwrap_or_default();
                let mark = open(self.out, number);
                put_number(self.out, 1, 0);
                put_number(self.out, 2, value as u64);
                close(self.out, mark);
                return Ok(());
            }
            _ => {}
        }
        let mark = open(self.out, number);
        match (kind, first) {
            (Kind::Raw, _) => {
                let raw = self.json.raw()?;
                put_bytes(self.out, 1, raw);
            }
            (Kind::Quantity, b'"') => self.value(1, Kind::Text, false)?,
            (Kind::IntOrString, b'"') => {
                put_number(self.out, 1, 1);
                self.value(3, Kind::Text, false)?;
            }
            (Kind::Texts, b'[') => self.texts(1)?,
            (Kind::SchemaOrTexts, b'[') => self.texts(2)?,
            (Kind::SchemaOrList, b'[') => {
                let mut items = self.json.array()?;
                while self.json.item(&mut items)? {
                    self.schema(2)?;
                }
            }
            (Kind::SchemaOrBool, b't' | b'f') => self.value(1, Kind::Bool, false)?,
            (Kind::SchemaOrBool, b'{') => {
                put_number(self.out, 1, 1);
                self.schema(2)?;
            }
            (Kind::SchemaOrList | Kind::SchemaOrTexts, b'{') => self.schema(1)?,
            _ => {
                // Of another type: take back the field's beginning, which took no more than its key and a byte.
                let key = super::super::wire::varint_length((number as usize) << 3);
                self.out.truncate(mark - 1 - key);
                return self.json.skip();
            }
        }
        close(self.out, mark);
        Ok(())
    }

    fn texts(&mut self, number: u32) -> Result<(), EncodeError> {
        let mut items = self.json.array()?;
        while self.json.item(&mut items)? {
            self.value(number, Kind::Text, true)?;
        }
        Ok(())
    }

    fn schema(&mut self, number: u32) -> Result<(), EncodeError> {
        if self.json.peek() != b'{' {
            return self.json.skip();
        }
        let mark = open(self.out, number);
        self.message(table::schema())?;
        close(self.out, mark);
        Ok(())
    }
}

/// Unix seconds and nanoseconds of an RFC 3339 time; Go keeps no fraction of a Time, and microseconds of a MicroTime.
fn moment(text: &[u8], micro: bool) -> Option<(i64, u64)> {
    if !micro && let Some(seconds) = plain(text) {
        return Some((seconds, 0));
    }
    let text = std::str::from_utf8(text).ok()?;
    if !micro {
        return Some((time::parse(text)?, 0));
    }
    let micros = time::parse_micro(text)?;
    Some((
        micros.div_euclid(1_000_000),
        micros.rem_euclid(1_000_000) as u64 * 1000,
    ))
}

/// `2006-01-02T15:04:05Z`, as nearly all times look. Days after the 28th need a calendar, which is not here.
fn plain(text: &[u8]) -> Option<i64> {
    let text: &[u8; 20] = text.try_into().ok()?;
    let marks = [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'Z'),
    ];
    if marks.iter().any(|(at, mark)| text[*at] != *mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        text[from..to].iter().try_fold(0_i64, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=28).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Years begin in March, so that the leap day is the last one.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let days = era * 146_097 + year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_short_way_agrees_with_the_calendar(seconds in -62_135_596_800_i64..253_402_300_800) {
            let text = time::format(seconds);
            if let Some(found) = plain(text.as_bytes()) {
                prop_assert_eq!(found, seconds);
            } else {
                prop_assert!(text[8..10].parse::<u32>().unwrap() > 28);
            }
        }
    }
}
