//! A machine's serial console, kept for error messages: the kernel writes there.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// How much of the end is kept, in bytes.
const KEPT: usize = 64 << 10;

/// Collects what is read, in a thread of its own.
#[derive(Debug)]
pub(crate) struct Console {
    text: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Console {
    pub(crate) fn new(mut from: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&text);
        let thread = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                keep(
                    &mut shared.lock().unwrap_or_else(PoisonError::into_inner),
                    &buffer[..count],
                );
            }
        });
        Self {
            text,
            thread: Some(thread),
        }
    }

    /// All that is kept.
    pub(crate) fn text(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The last lines.
    pub(crate) fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Waits for the other end to close.
    pub(crate) fn finish(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn keep(text: &mut Vec<u8>, news: &[u8]) {
    text.extend(news);
    if text.len() > 2 * KEPT {
        text.drain(..text.len() - KEPT);
    }
}

/// What the kernel says when it has failed.
pub(crate) fn kernel_failure(text: &str) -> Option<&str> {
    const SIGNS: [&str; 5] = [
        "Kernel panic",
        "BUG: ",
        "Oops: ",
        "general protection fault",
        "WARNING: CPU",
    ];
    text.lines()
        .find(|line| SIGNS.iter().any(|sign| line.contains(sign)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept() {
        let mut text = Vec::new();
        for n in 0..40_000 {
            keep(&mut text, format!("line {n}\n").as_bytes());
        }
        assert!(text.len() <= 2 * KEPT && text.ends_with(b"line 39999\n"));
        let mut console = Console::new(std::io::Cursor::new("a\nb"));
        console.finish();
        assert_eq!(console.tail(), "a\nb");
    }

    #[test]
    fn failures_of_the_kernel_are_seen() {
        assert!(
            kernel_failure("x\n[ 1.2] Kernel panic - not syncing: y\nz")
                .is_some_and(|l| l.contains("not syncing"))
        );
        assert_eq!(kernel_failure("all is well"), None);
    }
}
