use proptest::prelude::*;

use super::controller::due;
use super::schedule::Schedule;
use crate::controllers::model::Time;

fn time(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn next(schedule: &str, after: &str) -> String {
    Schedule::parse(schedule)
        .unwrap()
        .next(time(after))
        .unwrap()
        .to_string()
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
    ];
    for (schedule, after, expected) in cases {
        assert_eq!(next(schedule, after), expected, "{schedule}");
    }
    assert_eq!(
        Schedule::parse("0 0 30 2 *")
            .unwrap()
            .next(time("2024-01-01T00:00:00Z")),
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
        "@every -1s",
        "* * * * 7",
        "1-99999999999 * * * *",
    ] {
        assert!(Schedule::parse(text).is_err(), "{text}");
    }
}

#[test]
fn missed_starts() {
    let every = Schedule::parse("*/10 * * * *").unwrap();
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
        let schedule = Schedule::parse(&format!("{minute} {hour} * * *")).unwrap();
        let next = schedule.next(Time(start)).unwrap();
        prop_assert!(next.0 > start && next.0 - start <= 86_400);
        prop_assert_eq!(next.0 % 86_400, i64::from(hour * 3600 + minute * 60));
    }

    #[test]
    fn hostile_schedules_are_errors_or_harmless(text in "[0-9*/,@a-z -]{0,24}") {
        if let Ok(schedule) = Schedule::parse(&text) {
            let _ = schedule.next(Time(1_704_070_800));
        }
    }
}
