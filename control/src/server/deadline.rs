//! How long a request may take: as long as its `timeout` says, but not longer than the server lets any take
//! (`apiserver/pkg/endpoints/filters/request_deadline.go`).

use std::time::Duration;

use keelson_api::status::Status;
use tokio::time::Instant;

use crate::go_duration;

/// Longest time for a request that is not a watch or stream (upstream: 60 s).
const LONGEST: Duration = Duration::from_mins(1);

/// When a request that came just now with this `timeout` is given up.
pub fn of(timeout: &str) -> Result<Instant, Status> {
    let asked = match timeout {
        "" => 0,
        text => go_duration::nanoseconds(text).map_err(|error| {
            Status::bad_request(format!("invalid timeout specified in the request URL - {error}"))
        })?,
    };
    // Nothing or less is no wish.
    let asked = u64::try_from(asked).ok().filter(|asked| *asked > 0);
    let most = asked.map_or(LONGEST, |asked| LONGEST.min(Duration::from_nanos(asked)));
    Ok(Instant::now() + most)
}

/// The answer to a request that was given up.
pub fn late() -> Status {
    Status::timeout("request did not complete within the allotted timeout", 0)
}

#[cfg(test)]
mod tests {
    use super::*;

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
