//! Times on the wire (`metav1.Time`, `metav1.MicroTime`) and ages for people (`duration.HumanDuration`).

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Now, in Unix seconds.
pub fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// Now as `2006-01-02T15:04:05Z`.
pub fn now_rfc3339() -> String {
    format(now())
}

/// Now as `2006-01-02T15:04:05.000000Z`.
pub fn now_micro() -> String {
    format_micro((OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000) as i64)
}

fn civil(seconds: i64) -> OffsetDateTime {
    // Out of the years -9999..9999 nothing can be written in RFC 3339; the epoch is as wrong as anything else.
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn date_time(at: OffsetDateTime) -> String {
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// Unix seconds as `2006-01-02T15:04:05Z` (`metav1.Time`).
pub fn format(seconds: i64) -> String {
    date_time(civil(seconds)) + "Z"
}

/// Unix microseconds as `2006-01-02T15:04:05.000000Z` (`metav1.MicroTime`).
pub fn format_micro(micros: i64) -> String {
    let at = civil(micros.div_euclid(1_000_000));
    format!("{}.{:06}Z", date_time(at), micros.rem_euclid(1_000_000))
}

fn parse_any(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .map(|at| at.to_offset(UtcOffset::UTC))
}

/// An RFC 3339 time in any offset, in Unix seconds.
pub fn parse(text: &str) -> Option<i64> {
    parse_any(text).map(OffsetDateTime::unix_timestamp)
}

/// An RFC 3339 time in any offset, in Unix microseconds.
pub fn parse_micro(text: &str) -> Option<i64> {
    parse_any(text).and_then(|at| i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000)).ok())
}

/// A time span as kubectl prints ages: at most two units, the finer one only while the span is short.
pub fn human_duration(seconds: i64) -> String {
    let pair = |big: i64, big_unit: char, small: i64, small_unit: char| {
        if small == 0 {
            format!("{big}{big_unit}")
        } else {
            format!("{big}{big_unit}{small}{small_unit}")
        }
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        // Clocks may differ by a second.
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, 'm', seconds % 60, 's'),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, 'h', minutes % 60, 'm'),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => pair(hours / 24, 'd', hours % 24, 'h'),
        _ if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        _ if hours < 24 * 365 * 8 => pair(hours / 24 / 365, 'y', hours / 24 % 365, 'd'),
        _ => format!("{}y", hours / 24 / 365),
    }
}

/// The age of a timestamp at `now` (Unix seconds): `<unknown>` when there is none.
pub fn age(timestamp: Option<&str>, now: i64) -> String {
    timestamp
        .and_then(parse)
        .map_or_else(|| "<unknown>".to_owned(), |then| human_duration(now - then))
}

#[cfg(test)]
mod tests {
    use super::{age, format, format_micro, human_duration, parse, parse_micro};

    #[test]
    fn writes_and_reads_wire_times() {
        assert_eq!(format(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(format_micro(1_700_000_000_000_042), "2023-11-14T22:13:20.000042Z");
        assert_eq!(parse("2023-11-14T23:13:20+01:00"), Some(1_700_000_000));
        assert_eq!(
            parse_micro("2023-11-14T22:13:20.000042Z"),
            Some(1_700_000_000_000_042)
        );
        assert_eq!(parse("yesterday"), None);
        assert_eq!(format(i64::MAX), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn ages_read_as_in_kubectl() {
        let cases = [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (3 * 3600 - 1, "179m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 60, "3h1m"),
            (8 * 3600, "8h"),
            (47 * 3600, "47h"),
            (48 * 3600, "2d"),
            (49 * 3600, "2d1h"),
            (8 * 86400, "8d"),
            (800 * 86400, "2y70d"),
            (3000 * 86400, "8y"),
        ];
        for (seconds, text) in cases {
            assert_eq!(human_duration(seconds), text, "{seconds}");
        }
        assert_eq!(age(None, 0), "<unknown>");
        assert_eq!(age(Some("1970-01-01T00:00:00Z"), 5), "5s");
    }
}
