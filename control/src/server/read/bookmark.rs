//! When watches send bookmarks, which keep their clients' revisions fresh although nothing happens. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Time between bookmarks (upstream: about a minute).
const BETWEEN: Duration = Duration::from_mins(1);
/// How long before its end a watch sends the last one, so that the client goes on from there.
const LAST: Duration = Duration::from_secs(2);

/// When the next one is due: after about a minute, or shortly before the end if that is sooner (`storage/cacher`,
/// `nextBookmarkTime`).
pub fn next(now: Instant, ends: Instant) -> Option<Instant> {
    let last = ends.checked_sub(LAST)?;
    (last > now).then(|| last.min(now + BETWEEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bookmark_comes_shortly_before_the_end() {
        let now = Instant::now();
        let due = |life: u64| {
            let next = next(now, now + Duration::from_secs(life));
            next.map(|next| next.duration_since(now).as_secs())
        };
        // Not every two seconds until the end, and none for who stays for less.
        for (life, expected) in [(1, None), (2, None), (3, Some(1)), (60, Some(58)), (61, Some(59))] {
            assert_eq!(due(life), expected, "{life}");
        }
        assert_eq!((due(62), due(3600)), (Some(60), Some(60)));
    }
}
