//! Durations as Go writes them (`time.ParseDuration`): `1h30m`, `1.5s`, `-2ms`.

use keelson_api::status::go_quote;

/// Names of units, longest first where one begins another, with their nanoseconds.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The whole seconds in it, towards zero. The error is Go's.
pub fn seconds(text: &str) -> Result<i64, String> {
    Ok(nanoseconds(text)? / 1_000_000_000)
}

/// The nanoseconds in it. The error is Go's.
pub fn nanoseconds(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", go_quote(text));
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", go_quote(text)));
        }
        let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!(
                "time: unknown unit {} in duration {}",
                go_quote(unit),
                go_quote(text)
            ));
        };
        let number = |digits: &str| match digits {
            "" => Some(0),
            digits => digits.parse::<i64>().ok().map(i128::from),
        };
        total += number(whole).ok_or_else(invalid)? * size;
        // More digits than nanoseconds have say nothing.
        let shown = &fraction[..fraction.len().min(12)];
        let scale = 10i128.pow(u32::try_from(shown.len()).unwrap_or(0));
        total += number(shown).ok_or_else(invalid)? * size / scale;
        if total > i128::from(i64::MAX) {
            return Err(invalid());
        }
        rest = after;
    }
    let total = i64::try_from(total).map_err(|_| invalid())?;
    Ok(if negative { -total } else { total })
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::{nanoseconds, seconds};

    #[test]
    fn as_go_reads_them() {
        for (text, expected) in [
            ("0", 0),
            ("1m30s", 90),
            ("1.5h", 5400),
            ("+2s", 2),
            ("-1m", -60),
            ("999ms", 0),
            (".5m", 30),
            ("1.00000000000000000001s", 1),
            ("3\u{b5}s", 0),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("1m30.5s", 90_500_000_000),
            ("-1.5h", -5_400_000_000_000),
            ("+5ns", 5),
            (".5us", 500),
            ("5\u{b5}s", 5000),
        ] {
            assert_eq!(nanoseconds(text), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("", "time: invalid duration \"\""),
            ("nonsense", "time: invalid duration \"nonsense\""),
            (".s", "time: invalid duration \".s\""),
            ("5", "time: missing unit in duration \"5\""),
            ("1.2.3s", "time: missing unit in duration \"1.2.3s\""),
            ("1d", "time: unknown unit \"d\" in duration \"1d\""),
            ("9999999999h", "time: invalid duration \"9999999999h\""),
            (
                "99999999999999999999s",
                "time: invalid duration \"99999999999999999999s\"",
            ),
        ] {
            assert_eq!(seconds(text), Err(expected.to_owned()), "{text}");
        }
    }
}
