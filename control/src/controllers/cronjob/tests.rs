use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::controller::due;
use super::schedule::{Schedule, ScheduleError};
use crate::controllers::model::Time;

fn time(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn utc(text: &str) -> Result<Schedule, ScheduleError> {
    Schedule::parse(text, TimeZone::UTC)
}

fn next(schedule: &str, after: &str) -> String {
    utc(schedule).unwrap().next(time(after)).unwrap().to_string()
}

#[test]
fn next_starts() {
    let cases = [
        ("* * * * *", "2024-01-01T00:00:30Z", "2024-01-01T00:01:00Z"),
        ("*/15 * * * *", "2024-01-01T00:15:00Z", "2024-01-01T00:30:00Z"),
        ("5/20 3 * * *", "2024-01-01T03:06:00Z", "2024-01-01T03:25:00Z"),
        ("0 0 29 2 *", "2024-03-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 12 * * mon-fri", "2024-01-05T12:00:00Z", "2024-01-08T12:00:00Z"),
        ("0 0 13 * 5", "2024-01-01T00:00:00Z", "2024-01-05T00:00:00Z"),
        (
            "30 4 1,15 JAN,jul ?",
            "2024-01-15T04:30:00Z",
            "2024-07-01T04:30:00Z",
        ),
        ("@hourly", "2024-12-31T23:59:59Z", "2025-01-01T00:00:00Z"),
        ("@every 1m30s", "2024-01-01T00:00:00Z", "2024-01-01T00:01:30Z"),
        ("@every 1.5h", "2024-01-01T00:00:00Z", "2024-01-01T01:30:00Z"),
        ("@every -1s", "2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z"),
    ];
    for (schedule, after, expected) in cases {
        assert_eq!(next(schedule, after), expected, "{schedule}");
    }
    assert_eq!(
        utc("0 0 30 2 *").unwrap().next(time("2024-01-01T00:00:00Z")),
        None
    );
}

#[test]
fn wrong_schedules() {
    for text in [
        "",
        "* * * *",
        "60 * * * *",
        "*/0 * * * *",
        "5-1 * * * *",
        "x * * * *",
        "0 0 0 * *",
        "@every 5",
        "@every nonsense",
        "* * * * 7",
        "1-99999999999 * * * *",
    ] {
        assert!(utc(text).is_err(), "{text}");
    }
}

#[test]
fn missed_starts() {
    let every = utc("*/10 * * * *").unwrap();
    let (latest, missed, following) = due(&every, time("2024-01-01T00:00:00Z"), time("2024-01-01T00:35:00Z"));
    assert_eq!((latest, missed), (Some(time("2024-01-01T00:30:00Z")), 3));
    assert_eq!(following, Some(time("2024-01-01T00:40:00Z")));
    let (latest, missed, _) = due(&every, time("2020-01-01T00:00:00Z"), time("2024-01-01T00:35:00Z"));
    assert_eq!(latest, Some(time("2024-01-01T00:30:00Z")));
    assert!(missed > 100);
}

proptest! {
    #[test]
    fn the_next_start_is_the_first_that_matches(
        minute in 0u32..60, hour in 0u32..24, start in 1_600_000_000i64..1_900_000_000,
    ) {
        let schedule = utc(&format!("{minute} {hour} * * *")).unwrap();
        let next = schedule.next(Time(start)).unwrap();
        prop_assert!(next.0 > start && next.0 - start <= 86_400);
        prop_assert_eq!(next.0 % 86_400, i64::from(hour * 3600 + minute * 60));
    }

    #[test]
    fn hostile_schedules_are_errors_or_harmless(text in "[0-9*/,@a-z -]{0,24}") {
        if let Ok(schedule) = utc(&text) {
            let _ = schedule.next(Time(1_704_070_800));
        }
    }
}

/// Times of day in zones whose clocks are changed: what is left out does not come, and what is shown twice comes twice.
#[test]
fn clocks_that_change() {
    let starts = |zone: &str, schedule: &str, after: &str, count: usize| {
        let zone = crate::time_zone::find(zone).unwrap();
        let schedule = Schedule::parse(schedule, zone).unwrap();
        let first = schedule.next(time(after));
        std::iter::successors(first, |at| schedule.next(*at))
            .take(count)
            .map(|at| at.to_string())
            .collect::<Vec<_>>()
    };
    for (zone, schedule, after, expected) in [
        // Half past eight in the morning, in summer and winter.
        (
            "Europe/Berlin",
            "30 8 * * *",
            "2026-03-28T00:00:00Z",
            &["2026-03-28T07:30:00Z", "2026-03-29T06:30:00Z"][..],
        ),
        (
            "Asia/Kolkata",
            "0 0 * * *",
            "2026-01-01T00:00:00Z",
            &["2026-01-01T18:30:00Z", "2026-01-02T18:30:00Z"],
        ),
        // 2:30 is left out on March 8 in New York.
        (
            "America/New_York",
            "30 2 * * *",
            "2026-03-07T00:00:00Z",
            &["2026-03-07T07:30:00Z", "2026-03-09T06:30:00Z"],
        ),
        // 1:30 comes twice on November 1.
        (
            "America/New_York",
            "30 1 * * *",
            "2026-10-31T12:00:00Z",
            &[
                "2026-11-01T05:30:00Z",
                "2026-11-01T06:30:00Z",
                "2026-11-02T06:30:00Z",
            ],
        ),
        // Every hour is every hour.
        (
            "America/New_York",
            "@hourly",
            "2026-11-01T04:30:00Z",
            &[
                "2026-11-01T05:00:00Z",
                "2026-11-01T06:00:00Z",
                "2026-11-01T07:00:00Z",
            ],
        ),
        // March 26, 2023, had no midnight in Beirut: the day began with one o'clock.
        (
            "Asia/Beirut",
            "0 1 26 3 *",
            "2022-03-20T00:00:00Z",
            &["2022-03-25T23:00:00Z", "2023-03-25T22:00:00Z"],
        ),
        // The day of the month is the zone's.
        (
            "Pacific/Auckland",
            "0 6 1 * *",
            "2026-06-15T00:00:00Z",
            &["2026-06-30T18:00:00Z", "2026-07-31T18:00:00Z"],
        ),
    ] {
        assert_eq!(
            starts(zone, schedule, after, expected.len()),
            expected,
            "{zone} {schedule}"
        );
    }
}
