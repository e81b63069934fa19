//! What a history is made of.

use std::collections::BTreeMap;

use crate::history;

/// How often each kind of call had each kind of answer, to see that a history is worth checking.
pub fn tally(history: &history::History) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for operation in &history.operations {
        let call = format!("{:?}", operation.call);
        let answer = match &operation.returned {
            Some((_, answer)) => format!("{answer:?}"),
            None => "unknown".to_owned(),
        };
        let word = |text: &str| text.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
        *tally
            .entry(format!("{} {}", word(&call), word(&answer)))
            .or_insert(0) += 1;
    }
    let events = history.watches.iter().flat_map(|watch| &watch.notices);
    let events = events.map(|notice| notice.events.len()).sum();
    tally.insert("events".to_owned(), events);
    for watch in &history.watches {
        *tally.entry(format!("watch {:?}", watch.end)).or_insert(0) += 1;
    }
    tally
}

/// Fails unless all of these are there.
pub fn require(tally: &BTreeMap<String, usize>, words: &[&str]) {
    for what in words {
        assert!(
            tally.get(*what).is_some_and(|count| *count > 0),
            "no {what}: {tally:?}"
        );
    }
}
