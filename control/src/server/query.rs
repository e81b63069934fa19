//! Query parameters. Pure.

use std::num::{IntErrorKind, ParseIntError};

use keelson_api::status::Status;

use super::path::percent_decoded;

/// The parameters in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses `a=b&c=d`. Pairs with a percent sign before something else than two digits are dropped, and those with a
    /// semicolon, as callers of Go's `url.ParseQuery` do. What is not UTF-8 stays, marked as such, for whoever reads it to
    /// refuse: a selector that is dropped would select everything.
    pub fn parse(query: &str) -> Self {
        let decode = |text: &str| {
            let bytes = percent_decoded(&text.replace('+', " "))?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        Self(
            query
                .split('&')
                .filter(|pair| !pair.is_empty() && !pair.contains(';'))
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
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        let query = Query::parse("a=%ff&b=1;c=2&d=%+5&e=%4&f=x%&%fe=1&g=1");
        assert_eq!(query.get("a"), "\u{fffd}");
        for dropped in ["b", "c", "d", "e", "f"] {
            assert!(!query.has(dropped), "{dropped}");
        }
        assert!(query.has("g") && query.has("\u{fffd}"));
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
