//! Termination messages: what a container wrote for whoever asks why it ended.
//!
//! Source: `terminationMessagePath` and `terminationMessagePolicy` in the API reference; limits as upstream
//! (4096 bytes from the file, 2048 bytes or 80 lines from the log).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use keelson_runtime::node::{ContainerState, Phase};

use crate::container::spec::{TERMINATION_PATH_LABEL, TERMINATION_POLICY_LABEL};

const FILE_LIMIT: u64 = 4096;
const LOG_BYTES: usize = 2048;
const LOG_LINES: usize = 80;
/// What is read of a log's end: lines are longer there than in the message, for their time stamps.
const LOG_READ: u64 = 64 << 10;

/// The message of an ended container; `None` if there is none.
pub fn read_message(state: &ContainerState) -> Option<String> {
    let labels = &state.spec.labels;
    let path = labels.get(TERMINATION_PATH_LABEL)?;
    let mount = state
        .spec
        .mounts
        .iter()
        .find(|mount| mount.target == Path::new(path))?;
    let mut text = Vec::new();
    // The container may have put anything in its place, but only inside a file of ours.
    if let Ok(file) = File::open(&mount.source) {
        let _ = file.take(FILE_LIMIT).read_to_end(&mut text);
    }
    if !text.is_empty() {
        return Some(String::from_utf8_lossy(&text).into_owned());
    }
    let failed = matches!(&state.phase, Phase::Exited { exit_code, .. } if *exit_code != 0);
    let fall_back = labels
        .get(TERMINATION_POLICY_LABEL)
        .is_some_and(|p| p == "FallbackToLogsOnError");
    if failed && fall_back {
        log_tail(state.spec.log_path.as_deref()?)
    } else {
        None
    }
}

fn log_tail(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_READ))).ok()?;
    let mut bytes = Vec::new();
    file.take(LOG_READ).read_to_end(&mut bytes).ok()?;
    let message = tail(&String::from_utf8_lossy(&bytes));
    (!message.is_empty()).then_some(message)
}

/// The contents of the last lines of a CRI log (`TIME STREAM P|F CONTENT`).
fn tail(log: &str) -> String {
    let mut contents = String::new();
    for line in log.lines() {
        let mut parts = line.splitn(4, ' ');
        let (_, _, tag, content) = (parts.next(), parts.next(), parts.next(), parts.next());
        if let (Some(tag), Some(content)) = (tag, content) {
            contents.push_str(content);
            if tag.starts_with('F') {
                contents.push('\n');
            }
        }
    }
    let from_line = contents
        .trim_end_matches('\n')
        .rmatch_indices('\n')
        .nth(LOG_LINES - 1)
        .map_or(0, |(at, _)| at + 1);
    let mut start = from_line.max(contents.len().saturating_sub(LOG_BYTES));
    while !contents.is_char_boundary(start) {
        start += 1;
    }
    contents.split_off(start)
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn joins_partial_lines_and_limits() {
        assert_eq!(
            tail("t stdout P he\nt stdout F llo\nt stderr F x\n"),
            "hello\nx\n"
        );
        assert_eq!(tail("broken\n\n"), "");
        let many: String = (0..200)
            .flat_map(|n| ["t stdout F ".to_owned(), n.to_string(), "\n".to_owned()])
            .collect();
        assert_eq!(tail(&many).lines().count(), 80);
        assert_eq!(tail(&many).lines().last(), Some("199"));
        let long = format!("t stdout F {}\n", "é".repeat(4000));
        assert!(tail(&long).len() <= 2048);
    }
}
