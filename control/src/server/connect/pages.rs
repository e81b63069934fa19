//! The links of an HTML page that passes through a proxy, rewritten as it flows.
//!
//! Only tags are looked at, and only those with an address are changed; all other bytes pass as they are. What is held
//! back is a tag whose end has not come yet, up to [`LONGEST_TAG`].

use std::ops::Range;

use super::links::Links;

/// A longer tag passes as text.
const LONGEST_TAG: usize = 64 << 10;

/// Attributes with an address, by element.
const ADDRESSES: [(&str, &[&str]); 29] = [
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["formaction", "src", "usemap"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("track", &["src"]),
    ("video", &["poster", "src"]),
    ("td", &["background"]),
    ("th", &["background"]),
    ("table", &["background"]),
];
/// Elements without tags inside (HTML 13.2.5.1, the parser's RCDATA and RAWTEXT states).
const TEXT_ONLY: [&str; 9] = [
    "script",
    "style",
    "textarea",
    "title",
    "xmp",
    "iframe",
    "noembed",
    "noframes",
    "plaintext",
];

/// Where in the page we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Text,
    /// Inside an element that ends with its own end tag only.
    TextOnly(&'static str),
    Comment,
}

/// A page, in pieces.
#[derive(Debug)]
pub struct Pages {
    links: Links,
    place: Place,
    pending: Vec<u8>,
    /// How far the tag that `pending` begins with has been looked through.
    scan: Scan,
}

impl Pages {
    /// A page that begins.
    pub fn new(links: Links) -> Self {
        Self {
            links,
            place: Place::Text,
            pending: Vec::new(),
            scan: Scan::default(),
        }
    }

    /// Takes a piece and returns what can go on.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut input = std::mem::take(&mut self.pending);
        input.extend_from_slice(piece);
        let mut out = Vec::new();
        let mut at = 0;
        while at < input.len() {
            match self.step(&input[at..], &mut out) {
                Some(taken) => at += taken,
                None if input.len() - at > LONGEST_TAG => {
                    out.extend_from_slice(&input[at..]);
                    at = input.len();
                }
                None => break,
            }
            self.scan = Scan::default();
        }
        input.drain(..at);
        self.pending = input;
        out
    }

    /// What was held back at the page's end.
    pub fn finish(self) -> Vec<u8> {
        self.pending
    }

    /// Passes on up to the next change of place and says how much that was; `None` if more must come first.
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let marks: &[u8] = if self.place == Place::Comment {
            b"-->"
        } else {
            b"<"
        };
        let Some(start) = find(input, marks) else {
            // The end may be the beginning of a mark.
            let sure = match self.place {
                Place::Comment => input.len().saturating_sub(marks.len() - 1),
                _ => input.len(),
            };
            out.extend_from_slice(&input[..sure]);
            return (sure > 0).then_some(sure);
        };
        if start > 0 {
            out.extend_from_slice(&input[..start]);
            return Some(start);
        }
        let taken = match self.place {
            Place::Comment => {
                self.place = Place::Text;
                marks.len()
            }
            Place::TextOnly(name) => {
                let end = 2 + name.len();
                let head = input.get(..end);
                let same = |head: &[u8]| head[1] == b'/' && head[2..].eq_ignore_ascii_case(name.as_bytes());
                match head {
                    None => return None,
                    Some(head) if same(head) => {
                        self.place = Place::Text;
                        end
                    }
                    Some(_) => 1,
                }
            }
            Place::Text => match input.get(1)? {
                b'!' if input.len() < 4 && b"<!--".starts_with(input) => return None,
                b'!' if input.starts_with(b"<!--") => {
                    self.place = Place::Comment;
                    4
                }
                byte if byte.is_ascii_alphabetic() => {
                    let end = self.scan.end(input)?;
                    self.tag(&input[..end], out);
                    return Some(end);
                }
                _ => 1,
            },
        };
        out.extend_from_slice(&input[..taken]);
        Some(taken)
    }

    /// A whole start tag.
    fn tag(&mut self, tag: &[u8], out: &mut Vec<u8>) {
        let end = tag[1..]
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric())
            .map_or(tag.len(), |end| end + 1);
        let name = &tag[1..end];
        let known = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if let Some(name) = TEXT_ONLY.into_iter().find(|name| known(name)) {
            self.place = Place::TextOnly(name);
        }
        let mut copied = 0;
        if let Some((_, with_address)) = ADDRESSES.into_iter().find(|(element, _)| known(element)) {
            for (attribute, value) in attributes(tag, end) {
                let attribute = &tag[attribute];
                if !with_address
                    .iter()
                    .any(|name| attribute.eq_ignore_ascii_case(name.as_bytes()))
                {
                    continue;
                }
                let address = std::str::from_utf8(&tag[value.clone()]).unwrap_or_default();
                if let Some(address) = self.links.rewrite(address) {
                    out.extend_from_slice(&tag[copied..value.start]);
                    out.extend_from_slice(address.as_bytes());
                    copied = value.end;
                }
            }
        }
        out.extend_from_slice(&tag[copied..]);
    }
}

fn find(input: &[u8], what: &[u8]) -> Option<usize> {
    input.windows(what.len()).position(|window| window == what)
}

/// The search for the end of a tag: its first `>` outside of quotes. It goes on where it was when more has come.
#[derive(Debug)]
struct Scan {
    at: usize,
    quote: Option<u8>,
    /// The last byte that is no space: a quote counts where a value begins only.
    before: u8,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            at: 0,
            quote: None,
            before: b' ',
        }
    }
}

impl Scan {
    fn end(&mut self, input: &[u8]) -> Option<usize> {
        for byte in input[self.at..].iter().copied() {
            self.at += 1;
            match (self.quote, byte) {
                (Some(open), byte) if open == byte => self.quote = None,
                (None, b'>') => return Some(self.at),
                (None, b'"' | b'\'') if self.before == b'=' => self.quote = Some(byte),
                _ => {}
            }
            if !byte.is_ascii_whitespace() {
                self.before = byte;
            }
        }
        None
    }
}

/// Names and values of a tag's attributes, from `at` on.
fn attributes(tag: &[u8], mut at: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let mut found = Vec::new();
    let until = |from: usize, stop: &dyn Fn(u8) -> bool| {
        let length = tag[from..].iter().position(|byte| stop(*byte));
        length.map_or(tag.len(), |length| from + length)
    };
    let space = |byte: u8| byte.is_ascii_whitespace();
    while at < tag.len() {
        let start = until(at, &|byte| !space(byte) && byte != b'/' && byte != b'>');
        let end = until(start, &|byte| space(byte) || matches!(byte, b'=' | b'>' | b'/'));
        let equals = until(end, &|byte| !space(byte));
        if tag.get(equals) != Some(&b'=') {
            at = equals.max(start + 1);
            continue;
        }
        let value = until(equals + 1, &|byte| !space(byte));
        let quote = tag.get(value).filter(|byte| matches!(byte, b'"' | b'\''));
        let (from, to, next) = if let Some(quote) = quote {
            let to = until(value + 1, &|byte| byte == *quote);
            (value + 1, to, to + 1)
        } else {
            let to = until(value, &|byte| space(byte) || byte == b'>');
            (value, to, to)
        };
        found.push((start..end, from..to));
        at = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page() -> Pages {
        Pages::new(Links {
            prefix: "/p/proxy".into(),
            server: "10.0.0.1:80".into(),
            asked: "host".into(),
        })
    }

    fn whole(text: &[u8], step: usize) -> Vec<u8> {
        let mut page = page();
        let mut out: Vec<u8> = text.chunks(step).flat_map(|piece| page.push(piece)).collect();
        out.extend(page.finish());
        out
    }

    #[test]
    fn links_are_rewritten_wherever_the_page_is_cut() {
        let text = "<!doctype html><HTML><a href=\"/rewriteme\">test</a> <A class='a>b' HREF = '/x' >1 < 2</A>\
            <img src=/i.png usemap=#m><a href=http://10.0.0.1:80/y/>y</a><a href='http://other/z'>z</a>\
            <!-- <a href=\"/no\"> --><script src=\"/s.js\">if (a<b) \"<a href='/no'>\"</script><form action='/f'/>\
            <p data-x='/no' href='/no'><a title=\"it's\" href=\"/p/proxy/in\">in</a><a href>";
        let expected = text
            .replace("\"/rewriteme", "\"/p/proxy/rewriteme")
            .replace("'/x'", "'/p/proxy/x'")
            .replace("src=/i.png", "src=/p/proxy/i.png")
            .replace("http://10.0.0.1:80/y/", "/p/proxy/y/")
            .replace("\"/s.js", "\"/p/proxy/s.js")
            .replace("'/f'", "'/p/proxy/f'");
        for step in [1, 2, 3, 7, 64, text.len()] {
            let out = whole(text.as_bytes(), step);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{step}");
        }
    }

    #[test]
    fn a_tag_without_an_end_is_not_held_back_for_ever() {
        let mut page = page();
        let mut passed = page.push(b"<a href=\"").len();
        for _ in 0..100 {
            passed += page.push(&[b'x'; 4096]).len();
        }
        assert!(passed + LONGEST_TAG >= 9 + 100 * 4096, "{passed}");
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in proptest::collection::vec(prop_oneof![
            Just(b'<'), Just(b'>'), Just(b'-'), Just(b'!'), Just(b'='), Just(b'"'), Just(b'/'), Just(b'a'), any::<u8>()
        ], 0..200), step in 1usize..9) {
            // Nothing in it is an address that changes, for no `href` is in it.
            prop_assert_eq!(whole(&text, step), text);
        }
    }
}
