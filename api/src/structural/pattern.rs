//! `pattern`: a regular expression in Go's dialect (RE2), on an engine that takes linear time as Go's does.

use std::fmt::Write;
use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

/// Most bytes of a compiled expression: a definition has many, and may be hostile.
pub(super) const LARGEST: usize = 1 << 20;
/// How many sizes are told apart, from 1 KiB to the largest.
const RUNGS: usize = 41;
/// Least memory for what a search remembers; without it, each byte is compared with all of the expression again.
const SMALLEST_CACHE: usize = 16 << 10;
/// What is said of an expression that is larger than that.
pub(super) const TOO_LARGE: &str = "expression too large";
/// Most groups with a name; what is found by a group takes memory for each state of the expression.
const MOST_GROUPS: usize = 100;
/// Deepest nesting of an expression (Go: 1000, which would take a compiler's stack).
const DEEPEST: u32 = 100;

/// An expression, compiled when it is first used.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    compiled: OnceLock<Option<Compiled>>,
}

/// An expression that can be searched for.
#[derive(Debug)]
pub(super) struct Compiled {
    regex: Regex,
    /// At most so many bytes.
    pub size: usize,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            compiled: OnceLock::new(),
        }
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn compiled(&self) -> Option<&Compiled> {
        self.compiled.get_or_init(|| compile(&self.text).ok()).as_ref()
    }

    /// Whether it is found in the text; one that does not compile matches nothing.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.compiled()
            .is_some_and(|compiled| compiled.regex.is_match(text))
    }

    /// The steps of validation that it takes to look for it: each byte may be compared with all of the expression. Measured
    /// with expressions that leave no choice (`^[ab]*a[ab]{1000}$`, `^(?:(?:a?b?){1000})*$`), a byte of text takes 60 to 100
    /// ns for each KiB of the expression, from 8 KiB to 700 KiB.
    pub(super) fn cost(&self, text: &str) -> usize {
        let size = self.compiled().map_or(0, |compiled| compiled.size);
        1 + text.len().saturating_mul(size) / 1024
    }
}

/// Whether it is an expression; the error is in one line.
pub(super) fn compile(text: &str) -> Result<Compiled, String> {
    let translated = translate(text);
    // The largest size first: who is refused has cost one attempt.
    let mut best = match build(&translated, LARGEST) {
        Ok(regex) if regex.captures_len() > MOST_GROUPS => return Err(TOO_LARGE.to_owned()),
        Ok(regex) => Compiled { regex, size: LARGEST },
        Err(regex::Error::CompiledTooBig(_)) => return Err(TOO_LARGE.to_owned()),
        Err(error) => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            return Err(format!(
                "error parsing regexp: {}",
                last.trim_start_matches("error: ")
            ));
        }
    };
    // Every attempt costs about what the expression itself does, however large it may be.
    let (mut least, mut most) = (0, RUNGS - 1);
    while least < most {
        let middle = usize::midpoint(least, most);
        let size = rung(middle);
        match build(&translated, size) {
            Ok(regex) => {
                best = Compiled { regex, size };
                most = middle;
            }
            Err(_) => least = middle + 1,
        }
    }
    Ok(best)
}

/// The sizes that are told of expressions: four in each octave.
fn rung(at: usize) -> usize {
    (4 + at % 4) << (8 + at / 4)
}

fn build(translated: &str, size: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(translated)
        .size_limit(size)
        .dfa_size_limit(size.max(SMALLEST_CACHE))
        .nest_limit(DEEPEST)
        .build()
}

/// Go's dialect in that of the `regex` crate: the classes of Perl are ASCII, and `[`, `&` and `~` are nothing special
/// inside of a class. Nobody asks what a group without a name has found, so that it need not be kept.
fn translate(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    // Inside of a class, and whether anything but `^` has been seen in it, after which `]` ends it.
    let mut class: Option<bool> = None;
    while let Some(c) = chars.next() {
        match (c, class) {
            ('\\', _) => {
                let Some(escaped) = chars.next() else {
                    out.push('\\');
                    break;
                };
                escape(&mut out, escaped, class.is_some());
                class = class.map(|_| true);
            }
            ('[', None) => {
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                class = Some(false);
            }
            ('[', Some(_)) => {
                // `[:alpha:]` is the same in both.
                out.push_str(if chars.peek() == Some(&':') { "[" } else { "\\[" });
                if chars.peek() == Some(&':') {
                    for c in chars.by_ref() {
                        out.push(c);
                        if c == ']' {
                            break;
                        }
                    }
                }
                class = Some(true);
            }
            (']', Some(false)) => {
                out.push_str("\\]");
                class = Some(true);
            }
            (']', Some(true)) => {
                out.push(']');
                class = None;
            }
            ('(', None) if chars.peek() != Some(&'?') => out.push_str("(?:"),
            ('&' | '~', Some(_)) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\{c}");
                class = Some(true);
            }
            (c, _) => {
                out.push(c);
                class = class.map(|_| true);
            }
        }
    }
    out
}

fn escape(out: &mut String, escaped: char, in_class: bool) {
    let (members, negated) = match escaped {
        'd' => ("0-9", false),
        'D' => ("0-9", true),
        'w' => ("0-9A-Za-z_", false),
        'W' => ("0-9A-Za-z_", true),
        's' => ("\\t\\n\\x0c\\r\\x20", false),
        'S' => ("\\t\\n\\x0c\\r\\x20", true),
        'b' if !in_class => return out.push_str("(?-u:\\b)"),
        'B' if !in_class => return out.push_str("(?-u:\\B)"),
        // Ends of words in the other dialect.
        '<' | '>' => return out.push(escaped),
        other => {
            out.push('\\');
            return out.push(other);
        }
    };
    // Writing to a string cannot fail.
    let _ = write!(out, "[{}{members}]", if negated { "^" } else { "" });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_reads_them() {
        for (pattern, yes, no) in [
            (
                r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$",
                "* * * * */5",
                "* * * *",
            ),
            (r"^\d$", "7", "\u{0667}"),
            (r"^\w+$", "a_1", "\u{e4}"),
            (r"^[\w.-]+$", "a.b-c", "a b"),
            (r"^[^\s]$", "x", "\t"),
            (r"^[[a]$", "[", "b"),
            (r"^[]a]$", "]", "b"),
            (r"^[a&&b]$", "&", "c"),
            (r"^[[:alpha:]_]$", "_", "["),
            (r"^.{3}$", "\u{e4}\u{f6}\u{fc}", "ab"),
            (r"a\/b\<", "a/b<", "ab"),
            (r"\bfoo\b", "a foo b", "afoo"),
        ] {
            let pattern = Pattern::new(pattern);
            assert!(pattern.matches(yes), "{} {yes}", pattern.text());
            assert!(!pattern.matches(no), "{} {no}", pattern.text());
        }
    }

    #[test]
    fn catastrophes() {
        // Exponential for those that backtrack.
        let pattern = Pattern::new("^(a+)+$");
        assert!(!pattern.matches(&("a".repeat(50_000) + "b")));
        assert!(compile("(((a{1000}){1000}){1000}){1000}").is_err());
        assert!(compile(&"(".repeat(100_000)).is_err());
        assert!(compile(&("(".repeat(5000) + &")".repeat(5000))).is_err());
        // What groups have found is memory for each group and each state.
        let groups = Pattern::new(&"(a)".repeat(5000));
        assert!(groups.matches(&"a".repeat(5000)));
        let named = (0..5000)
            .map(|n| format!("(?P<n{n}>a)"))
            .collect::<Vec<_>>()
            .concat();
        assert!(compile(&named).is_err());
        // What is small is known to be small, for what it costs to look for it.
        assert!(compile("^[a-z]+(-[a-z]+)*$").unwrap().size <= 2 << 10);
        let size = compile("(?:a{999}){20}").unwrap().size;
        assert!(size > LARGEST / 4 && size <= LARGEST, "{size}");
        for broken in ["(", "[", "a{2,1}", "*", "\\"] {
            assert!(compile(broken).is_err(), "{broken}");
        }
    }
}
