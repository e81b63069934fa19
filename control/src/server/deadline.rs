//! How long a request may take: as long as its `timeout` says, but not longer than the server lets any take
//! (`apiserver/pkg/endpoints/filters/request_deadline.go`).

use std::time::Duration;

use keelson_api::status::{Status, go_quote};
use tokio::time::Instant;

/// Longest time for a request that is not a watch or stream (upstream: 60 s).
const LONGEST: Duration = Duration::from_mins(1);

/// When a request that came just now with this `timeout` is given up.
pub fn of(timeout: &str) -> Result<Instant, Status> {
    let asked = match timeout {
        "" => 0,
        text => parse(text).map_err(|error| {
            Status::bad_request(format!(
                "invalid timeout specified in the request URL - time: {error}"
            ))
        })?,
    };
    // Nothing or less is no wish.
    let asked = u64::try_from(asked).ok().filter(|asked| *asked > 0);
    let most = asked.map_or(LONGEST, |asked| LONGEST.min(Duration::from_nanos(asked)));
    Ok(Instant::now() + most)
}

/// Nanoseconds of a duration as Go writes them, e.g. `1m30.5s`; what is wrong with it in the words of its `time` package.
fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("invalid duration {}", go_quote(text));
    let (negative, mut rest) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0_f64;
    while !rest.is_empty() {
        let is_digit = |c: char| c.is_ascii_digit();
        let end = rest.find(|c| !is_digit(c) && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        // One point at most, and a digit before or behind it.
        if number.matches('.').count() > 1 || !number.contains(is_digit) {
            return Err(invalid());
        }
        let end = after.find(|c| is_digit(c) || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let nanoseconds = match unit {
            "" => return Err(format!("missing unit in duration {}", go_quote(text))),
            "ns" => 1.0,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            unknown => {
                let (unknown, text) = (go_quote(unknown), go_quote(text));
                return Err(format!("unknown unit {unknown} in duration {text}"));
            }
        };
        // Digits with at most one point are a number.
        total += number.parse().unwrap_or(f64::INFINITY) * nanoseconds;
        if total > i64::MAX as f64 {
            return Err(invalid());
        }
        rest = after;
    }
    Ok(if negative { -(total as i64) } else { total as i64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_by_go() {
        for (text, expected) in [
            ("1s", Ok(1_000_000_000)),
            ("1m30.5s", Ok(90_500_000_000)),
            ("-1.5h", Ok(-5_400_000_000_000)),
            ("+5ns", Ok(5)),
            (".5us", Ok(500)),
            ("0", Ok(0)),
            ("5\u{b5}s", Ok(5000)),
            ("abc", Err("invalid duration \"abc\"")),
            ("-", Err("invalid duration \"-\"")),
            ("1.2.3s", Err("invalid duration \"1.2.3s\"")),
            (".s", Err("invalid duration \".s\"")),
            ("5", Err("missing unit in duration \"5\"")),
            ("5x", Err("unknown unit \"x\" in duration \"5x\"")),
            ("9999999h", Err("invalid duration \"9999999h\"")),
        ] {
            assert_eq!(parse(text), expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn no_request_may_take_longer_than_the_server_allows() {
        let left = |text: &str| of(text).unwrap().duration_since(Instant::now());
        for text in ["", "0s", "-5s", "2h", "60s"] {
            assert!(
                left(text) > Duration::from_secs(30) && left(text) <= LONGEST,
                "{text}"
            );
        }
        assert!(left("10s") <= Duration::from_secs(10));
        assert_eq!(
            of("soon").unwrap_err().message,
            "invalid timeout specified in the request URL - time: invalid duration \"soon\""
        );
    }
}
