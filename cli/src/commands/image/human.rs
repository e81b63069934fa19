//! Sizes and times as docker shows them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Bytes with three significant digits in decimal units: `4.26MB`.
pub fn size(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = match value {
        value if unit == 0 || value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{}", units[unit])
}

/// How long ago a time was: `3 weeks ago`.
pub fn ago(created: &str) -> String {
    let Ok(created) = OffsetDateTime::parse(created, &Rfc3339) else {
        return "N/A".to_owned();
    };
    let seconds = (OffsetDateTime::now_utc() - created).whole_seconds();
    let (count, unit) = match seconds {
        ..1 => return "Less than a second ago".to_owned(),
        1..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..172_800 => (seconds / 3_600, "hour"),
        172_800..1_209_600 => (seconds / 86_400, "day"),
        1_209_600..5_184_000 => (seconds / 604_800, "week"),
        5_184_000..63_072_000 => (seconds / 2_592_000, "month"),
        _ => (seconds / 31_536_000, "year"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_in_docker() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1_000, "1kB"),
            (4_261_550, "4.26MB"),
            (42_615_500, "42.6MB"),
            (426_155_000, "426MB"),
            (999_999, "1MB"),
            (u64::MAX, "18.4EB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn times_read_as_in_docker() {
        assert_eq!(ago("garbage"), "N/A");
        let before = |seconds: i64| {
            let then = OffsetDateTime::now_utc() - time::Duration::seconds(seconds);
            ago(&then.format(&Rfc3339).unwrap())
        };
        assert_eq!(before(-5), "Less than a second ago");
        assert_eq!(before(90), "1 minute ago");
        assert_eq!(before(3 * 86_400), "3 days ago");
        assert_eq!(before(21 * 86_400), "3 weeks ago");
        assert_eq!(before(4 * 365 * 86_400), "4 years ago");
    }
}
