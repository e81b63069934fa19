//! Standard output that may be closed early (`keelson image ls | head`).

use std::io::Write;

/// Writes a text; a reader that has gone is not an error.
pub fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
