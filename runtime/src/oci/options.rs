//! Reading options as runc's callers write them: `--opt value`, `--opt=value`, `-o value`, `-ovalue`, `-o=value`, flags
//! alone or with `=true` or `=false`, before and after other arguments. By hand: a general parser would take a third of
//! the memory that a whole command may, and longer than starting a process.

use std::path::PathBuf;

use super::Error;

/// One option.
#[derive(Debug)]
pub(super) struct Opt {
    pub long: &'static str,
    /// `\0`: none.
    pub short: char,
    /// Name of its value; empty for a flag.
    pub value: &'static str,
    /// Empty: accepted, and not spoken of.
    pub help: &'static str,
}

/// A flag.
pub(super) const fn flag(long: &'static str, short: char, help: &'static str) -> Opt {
    Opt {
        long,
        short,
        value: "",
        help,
    }
}

/// An option with a value.
pub(super) const fn value(long: &'static str, short: char, value: &'static str, help: &'static str) -> Opt {
    Opt {
        long,
        short,
        value,
        help,
    }
}

/// Where options end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nowhere but after `--`.
    Open,
    /// After the first other argument, what follows is somebody else's.
    First,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    options: Vec<(&'static str, String)>,
    /// What is no option.
    pub others: Vec<String>,
}

fn invalid<T>(words: String) -> Result<T, Error> {
    Err(Error::Usage(words))
}

impl Found {
    /// Sorts arguments.
    pub(super) fn parse(args: &[String], table: &'static [Opt], end: End) -> Result<Self, Error> {
        let mut found = Self::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            if arg == "--" {
                found.others.extend(rest.cloned());
                break;
            }
            let Some(body) = arg.strip_prefix('-').filter(|body| !body.is_empty()) else {
                found.others.push(arg.clone());
                if end == End::First {
                    // A lone `--` here only says what is known already.
                    let rest = rest.as_slice();
                    found
                        .others
                        .extend_from_slice(rest.strip_prefix(&["--".to_owned()]).unwrap_or(rest));
                    break;
                }
                continue;
            };
            let long = body.strip_prefix('-').unwrap_or(body);
            let (name, given) = match long.split_once('=') {
                Some((name, given)) => (name, Some(given)),
                None => (long, None),
            };
            // One dash does for a long name as well, as in Go.
            if let Some(option) = table.iter().find(|option| option.long == name) {
                found.take(option, given, &mut rest)?;
            } else if body.starts_with('-') {
                return invalid(format!("unknown option --{name}"));
            } else {
                found.short(body, table, &mut rest)?;
            }
        }
        Ok(found)
    }

    /// Letters after one dash: flags, and at most one value.
    fn short(
        &mut self,
        letters: &str,
        table: &'static [Opt],
        rest: &mut std::slice::Iter<'_, String>,
    ) -> Result<(), Error> {
        for (at, letter) in letters.char_indices() {
            let Some(option) = table.iter().find(|o| o.short == letter && letter != '\0') else {
                return invalid(format!("unknown option -{letter}"));
            };
            let after = &letters[at + letter.len_utf8()..];
            if option.value.is_empty() && !after.starts_with('=') {
                self.take(option, None, rest)?;
                continue;
            }
            let given = after.strip_prefix('=').or((!after.is_empty()).then_some(after));
            return self.take(option, given, rest);
        }
        Ok(())
    }

    fn take(
        &mut self,
        option: &'static Opt,
        given: Option<&str>,
        rest: &mut std::slice::Iter<'_, String>,
    ) -> Result<(), Error> {
        let name = option.long;
        let given = match (option.value.is_empty(), given) {
            (true, None) => "true",
            (true, Some(word @ ("true" | "false"))) => word,
            (true, Some(word)) => return invalid(format!("--{name} is true or false, not {word:?}")),
            (false, Some(given)) => given,
            (false, None) => match rest.next() {
                Some(given) => given,
                None => return invalid(format!("--{name} needs a value")),
            },
        };
        self.options.push((name, given.to_owned()));
        Ok(())
    }

    /// The last value of an option.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.options.iter().rfind(|(option, _)| *option == name);
        found.map(|(_, given)| given.as_str())
    }

    /// All values of an option.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let found = self.options.iter().filter(|(option, _)| *option == name);
        found.map(|(_, given)| given.clone()).collect()
    }

    /// Whether a flag is set.
    pub(super) fn is(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// A path; an empty one is none, as with runc.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// A string of one's own.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// A number.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(given) = self.get(name) else {
            return Ok(None);
        };
        match given.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => invalid(format!("--{name}: invalid number {given:?}")),
        }
    }

    /// One of these words; the first unless given.
    pub(super) fn word(&self, name: &str, words: &[&str]) -> Result<String, Error> {
        match self.get(name).unwrap_or(words[0]) {
            given if words.contains(&given) => Ok(given.to_owned()),
            given => invalid(format!(
                "--{name}: invalid value {given:?}, not {}",
                words.join(" or ")
            )),
        }
    }

    /// The only argument beside options: a container's id.
    pub(super) fn id(mut self) -> Result<String, Error> {
        match (self.others.pop(), self.others.is_empty()) {
            (Some(id), true) => Ok(id),
            _ => invalid("exactly one container id is needed".to_owned()),
        }
    }
}

/// Lines of help.
pub(super) fn help(table: &[Opt]) -> String {
    let mut text = String::new();
    for option in table.iter().filter(|option| !option.help.is_empty()) {
        let short = match option.short {
            '\0' => "    ".to_owned(),
            letter => format!("-{letter}, "),
        };
        let name = format!("--{} {}", option.long, option.value);
        let line = format!("  {short}{name:<30} {}\n", option.help);
        text += &line;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: &[Opt] = &[
        flag("all", 'a', "All"),
        flag("tty", 't', ""),
        value("bundle", 'b', "DIR", "Bundle"),
    ];

    fn parse(args: &[&str], end: End) -> Result<Found, Error> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Found::parse(&args, TABLE, end)
    }

    #[test]
    fn forms() {
        for args in [
            &["--bundle", "x", "id"][..],
            &["id", "--bundle=x"],
            &["-b", "x", "id"],
            &["id", "-bx"],
            &["-b=x", "id"],
            &["-bundle", "x", "id"],
            &["--all=false", "-b", "y", "-ab", "x", "--all=false", "--", "id"],
        ] {
            let found = parse(args, End::Open).unwrap();
            assert_eq!(
                (found.get("bundle"), found.is("all")),
                (Some("x"), false),
                "{args:?}"
            );
            assert_eq!(found.id().unwrap(), "id");
        }
        let found = parse(&["-at", "id", "-x", "--bundle"], End::First).unwrap();
        assert!(found.is("all") && found.is("tty"));
        assert_eq!(found.others, ["id", "-x", "--bundle"]);
        assert_eq!(
            parse(&["id", "--", "-x"], End::First).unwrap().others,
            ["id", "-x"]
        );
        assert_eq!(parse(&["--", "-x"], End::Open).unwrap().others, ["-x"]);
    }

    #[test]
    fn mistakes() {
        for args in [
            &["--nonsense"][..],
            &["-z"],
            &["--bundle"],
            &["-b"],
            &["--all=x"],
            &["-a=1"],
            &["-tz"],
            &["-é"],
        ] {
            assert!(parse(args, End::Open).is_err(), "{args:?}");
        }
        assert!(parse(&["a", "b"], End::Open).unwrap().id().is_err());
        assert!(parse(&[], End::Open).unwrap().id().is_err());
    }
}
