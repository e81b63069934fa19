//! Query parameters of logs, exec, attach and port-forward. Pure.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::route::decode;

/// Decoded parameters, in order.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Splits a query string; what cannot be decoded is an error.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, String> {
        let pairs = query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                let part = |text: &str| decode(&text.replace('+', " "));
                part(key).zip(part(value))
            })
            .collect::<Option<_>>()
            .map(Self)
            .ok_or_else(|| "Unable to decode query.".to_owned())
    }

    fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(own, _)| own == key)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn first(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own == key)
            .map(|(_, value)| value.as_str())
    }

    /// `1` and `true`, as Go's strconv.ParseBool reads them.
    fn flag(&self, key: &str) -> bool {
        self.first(key)
            .is_some_and(|value| matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    fn number(&self, key: &str) -> Result<Option<i64>, String> {
        match self.first(key) {
            None | Some("") => Ok(None),
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|_| format!("{key}: {text:.40?} is not a number")),
        }
    }
}

/// Which streams an exec or attach session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Streams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
}

impl Streams {
    /// The kubelet's own names (`input`, `output`, `error`) and those of the API (`stdin`, ...).
    pub(super) fn parse(query: &Query) -> Result<Self, String> {
        let either = |own: &str, api: &str| query.flag(own) || query.flag(api);
        let tty = query.flag("tty");
        let streams = Self {
            stdin: either("input", "stdin"),
            stdout: either("output", "stdout"),
            // A terminal has one output.
            stderr: either("error", "stderr") && !tty,
            tty,
        };
        if !streams.stdin && !streams.stdout && !streams.stderr {
            return Err("you must specify at least 1 of stdin, stdout, stderr".to_owned());
        }
        Ok(streams)
    }
}

/// The argument vector of an exec.
pub(super) fn command(query: &Query) -> Vec<String> {
    query.all("command").map(str::to_owned).collect()
}

/// The ports of a port-forward over plain WebSocket: repeated or comma-separated.
pub(super) fn ports(query: &Query) -> Result<Vec<u16>, String> {
    let given = query.all("port").chain(query.all("ports"));
    let ports = given
        .flat_map(|list| list.split(','))
        .map(|text| match text.parse() {
            Ok(0) => Err(format!("port {text:?} must be > 0")),
            Ok(port) => Ok(port),
            Err(_) => Err(format!("unable to parse {text:.40?} as a port")),
        })
        .collect::<Result<Vec<u16>, _>>()?;
    if ports.is_empty() {
        return Err("query parameter \"port\" is required".to_owned());
    }
    Ok(ports)
}

/// What part of a log is wanted, and how (`PodLogOptions`).
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct LogOptions {
    pub follow: bool,
    pub previous: bool,
    pub timestamps: bool,
    /// Lines before this time are left out.
    pub since: Option<SystemTime>,
    /// Last lines; all if absent.
    pub tail: Option<u64>,
    /// Bytes after which the answer ends.
    pub limit: Option<u64>,
}

impl LogOptions {
    pub(super) fn parse(query: &Query, now: SystemTime) -> Result<Self, String> {
        let at_least = |key: &str, least: i64, words: &str| match query.number(key)? {
            Some(number) if number < least => Err(format!("{key}: Invalid value: {number}: must be {words}")),
            number => Ok(number.map(|number| number as u64)),
        };
        let seconds = at_least("sinceSeconds", 1, "greater than 0")?;
        let time = match query.first("sinceTime").filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(
                OffsetDateTime::parse(text, &Rfc3339)
                    .map_err(|_| format!("sinceTime: {text:.40?} is not an RFC 3339 time"))?,
            ),
        };
        if seconds.is_some() && time.is_some() {
            return Err(
                "sinceSeconds: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
                    .to_owned(),
            );
        }
        let ago = seconds.and_then(|seconds| now.checked_sub(Duration::from_secs(seconds)));
        Ok(Self {
            follow: query.flag("follow"),
            previous: query.flag("previous"),
            timestamps: query.flag("timestamps"),
            since: time.map(SystemTime::from).or(ago),
            tail: at_least("tailLines", 0, "greater than or equal to 0")?,
            limit: at_least("limitBytes", 1, "greater than 0")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::parse(Some(text)).unwrap()
    }

    #[test]
    fn commands_keep_order_and_bytes() {
        let query = query("command=sh&input=1&command=-c&command=echo+%26%3D%2B&output=1&tty=true&error=1");
        assert_eq!(command(&query), ["sh", "-c", "echo &=+"]);
        let streams = Streams::parse(&query).unwrap();
        assert_eq!(
            streams,
            Streams {
                stdin: true,
                stdout: true,
                stderr: false,
                tty: true
            }
        );
        assert!(Streams::parse(&Query::default()).is_err());
        assert!(Query::parse(Some("a=%zz")).is_err());
    }

    #[test]
    fn log_options() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let parse = |text: &str| LogOptions::parse(&query(text), now);
        let options = parse("follow=true&tailLines=5&limitBytes=10&sinceSeconds=100&timestamps=1").unwrap();
        assert_eq!(
            (options.follow, options.tail, options.limit),
            (true, Some(5), Some(10))
        );
        assert_eq!(
            options.since,
            Some(SystemTime::UNIX_EPOCH + Duration::from_mins(15))
        );
        let time = parse("sinceTime=1970-01-01T00:00:01Z").unwrap();
        assert_eq!(time.since, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1)));
        for bad in [
            "tailLines=-1",
            "tailLines=x",
            "limitBytes=0",
            "sinceSeconds=0",
            "sinceTime=x",
            "sinceSeconds=1&sinceTime=1970-01-01T00:00:01Z",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_of_a_forward() {
        assert_eq!(ports(&query("port=80,443&port=1")).unwrap(), [80, 443, 1]);
        for bad in ["", "port=", "port=0", "port=65536", "port=x"] {
            assert!(ports(&query(bad)).is_err(), "{bad}");
        }
    }
}
