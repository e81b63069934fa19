//! Telling the caller what went wrong, as OCI runtimes do.

use std::fs::File;
use std::io::{IsTerminal, Write};

use crate::shim::lines;

/// Reports an error as OCI runtimes do: to standard error, and to the log that the caller reads.
pub fn report(log: Option<&str>, json: bool, message: &str) {
    self::log(log, json, "error", message);
}

/// As [`report`], for what is of another level in the log.
pub fn log(log: Option<&str>, json: bool, level: &str, message: &str) {
    // Our standard error may be the container's, and ends in its log: what is no error goes there only for a person.
    if level == "error" || (log.is_none() && std::io::stderr().is_terminal()) {
        eprintln!("keelson runtime: {message}");
    }
    let Some(path) = log else { return };
    let time = lines::rfc3339(lines::now());
    let quoted = quote(message);
    let line = if json {
        format!("{{\"level\":\"{level}\",\"msg\":{quoted},\"time\":\"{time}\"}}\n")
    } else {
        format!("time=\"{time}\" level={level} msg={quoted}\n")
    };
    if let Ok(mut file) = File::options().append(true).create(true).open(path) {
        let _ = file.write_all(line.as_bytes());
    }
}

/// A JSON string.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.extend(format!("\\u{:04x}", c as u32).chars()),
            c => out.push(c),
        }
    }
    out + "\""
}
