//! Query parameters. Pure.

use std::num::{IntErrorKind, ParseIntError};

use keelson_api::status::Status;

use super::path::percent_decode;

/// The parameters in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses `a=b&c=d`; undecodable pairs are dropped, as Go's `url.ParseQuery` callers do.
    pub fn parse(query: &str) -> Self {
        let decode = |text: &str| percent_decode(&text.replace('+', " "));
        Self(
            query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .filter_map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    Some((decode(name)?, decode(value)?))
                })
                .collect(),
        )
    }

    /// The first value of a parameter, empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Whether the parameter is there.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// All values of a parameter.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A boolean, as `runtime.Convert_Slice_string_To_bool` reads it: present and neither `false` nor `0` is true.
    pub fn flag(&self, name: &str) -> bool {
        self.all(name)
            .next()
            .is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Status> {
        match self.all(name).next() {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|error: ParseIntError| {
                Status::bad_request(format!(
                    "strconv.ParseInt: parsing {text:?}: {}",
                    no_number(&error)
                ))
            }),
        }
    }

    /// `dryRun`, which has been checked (`options`).
    pub fn dry_run(&self) -> bool {
        self.has("dryRun")
    }
}

/// Why a text is no number, as Go's `strconv` says it.
pub fn no_number(error: &ParseIntError) -> &'static str {
    match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes() {
        let query = Query::parse("command=sh&command=-c&command=echo+a%20b%2B&stdin=true&tty=false&x");
        assert_eq!(
            query.all("command").collect::<Vec<_>>(),
            ["sh", "-c", "echo a b+"]
        );
        assert!(query.flag("stdin") && !query.flag("tty") && query.flag("x") && !query.flag("y"));
    }

    #[test]
    fn numbers_are_read_as_by_go() {
        for (text, why) in [
            ("", "invalid syntax"),
            ("a", "invalid syntax"),
            ("1.5", "invalid syntax"),
            ("9223372036854775808", "value out of range"),
            ("-9223372036854775809", "value out of range"),
        ] {
            let status = Query::parse(&format!("limit={text}"))
                .number("limit")
                .unwrap_err();
            assert_eq!(
                status.message,
                format!("strconv.ParseInt: parsing {text:?}: {why}")
            );
        }
        let most = Query::parse("limit=9223372036854775807").number("limit");
        assert_eq!(most, Ok(Some(i64::MAX)));
    }
}
