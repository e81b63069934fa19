//! Where keys appear twice in YAML. The reader of values does not know lines, so a text in which it saw a key twice is
//! looked at once more, by its events.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Upstream stops listing after this many.
const MOST: usize = 100;

/// An open collection.
enum Open {
    List,
    /// Keys so far, and the last one if it still awaits its value.
    Map(HashSet<String>, Option<String>),
}

/// What upstream's YAML library says of keys that appear twice (`line 7: key "a" already set in map`, the line being
/// that of the value), or nothing if there are none.
pub fn of(text: &str) -> Option<String> {
    let mut found = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { break };
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        if matches!(event, Event::MappingEnd | Event::SequenceEnd) {
            open.pop();
            continue;
        }
        let key = match &event {
            Event::Scalar(text, style, ..) => Some(shown(text, *style)),
            Event::MappingStart(..) | Event::SequenceStart(..) | Event::Alias(..) => None,
            _ => continue,
        };
        if let Some(Open::Map(seen, waiting)) = open.last_mut() {
            match waiting.take() {
                None => *waiting = Some(key.clone().unwrap_or_default()),
                Some(name) => {
                    if !seen.insert(name.clone()) && found.len() < MOST {
                        found.push(format!(
                            "\n  line {}: key {name} already set in map",
                            span.start.line()
                        ));
                    }
                }
            }
        }
        match event {
            Event::MappingStart(..) => open.push(Open::Map(HashSet::new(), None)),
            Event::SequenceStart(..) => open.push(Open::List),
            _ => {}
        }
    }
    (!found.is_empty()).then(|| format!("yaml: unmarshal errors:{}", found.concat()))
}

/// A key as Go shows it: text in quotes, plain numbers and truth values without.
fn shown(text: &str, style: ScalarStyle) -> String {
    let plain =
        style == ScalarStyle::Plain && (text.parse::<i64>().is_ok() || matches!(text, "true" | "false"));
    if plain {
        text.to_owned()
    } else {
        format!("{text:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn lines_of_values_in_every_form() {
        let text = "a: 1\nb:\n  c: 1\n  c: 2\nlist:\n- x: 1\n  x:\n    y: 2\n- x: 3\nflow: {k: 1,\n  k: 2}\n1: x\n1: y\na: 3\n";
        let expected = "yaml: unmarshal errors:\n  line 4: key \"c\" already set in map\n  line 8: key \"x\" already set in map\n  \
            line 11: key \"k\" already set in map\n  line 13: key 1 already set in map\n  line 14: key \"a\" already set in map";
        assert_eq!(of(text).as_deref(), Some(expected));
        assert_eq!(of("a: 1\nb: {a: 1}\nc: [{a: 1}, {a: 2}]\n"), None);
        assert_eq!(
            of(r#"{"u":1,"u":2}"#).as_deref(),
            Some("yaml: unmarshal errors:\n  line 1: key \"u\" already set in map")
        );
    }

    #[test]
    fn what_is_no_yaml_is_nothing() {
        assert_eq!(of("a: [1\nb"), None);
        assert_eq!(of("\t\u{0}{"), None);
    }
}
