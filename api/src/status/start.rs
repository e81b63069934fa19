//! Of what is very long, messages tell the start.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

/// Longest path, value or detail in a message, in bytes. There may be a thousand errors in an answer, and each could show
/// megabytes of the same request.
const LONGEST: usize = 4096;

/// The text, or its start and an ellipsis.
pub fn start(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST {
        return text.into();
    }
    format!("{}...", &text[..text.floor_char_boundary(LONGEST)]).into()
}

/// As [`start`], of what is not a text yet: no more of it is written than is shown.
pub fn start_of(shown: impl Display) -> String {
    let mut text = Start(String::new());
    // It fails when there is enough.
    let _ = write!(text, "{shown}");
    match start(&text.0) {
        Cow::Borrowed(_) => text.0,
        Cow::Owned(cut) => cut,
    }
}

struct Start(String);

impl Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(&text[..text.floor_char_boundary(LONGEST + 1)]);
        if self.0.len() > LONGEST {
            return Err(fmt::Error);
        }
        Ok(())
    }
}
