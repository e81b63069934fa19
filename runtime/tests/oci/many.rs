//! Containers that exit at once, thousands of times: none hangs, every exit code is right. `KEELSON_TEST_CONTAINERS` says
//! how many; without it a few, for a machine that others use.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::Bench;

const VARIABLE: &str = "KEELSON_TEST_CONTAINERS";
const AT_ONCE: u32 = 8;
/// One that takes longer hangs: it takes milliseconds, on the busiest machine seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// One container; its exit code, or `None` if it hung.
fn run(bench: &Bench, id: &str) -> Option<i32> {
    let mut command: Command = bench.command(&["run", "-b", bench.directory.path().to_str().unwrap(), id]);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pidfd = keelson_runtime::sys::pidfd_open(child.id() as i32).unwrap();
    let patience = PATIENCE.as_millis() as i32;
    let ended = keelson_runtime::sys::poll_readable(std::os::fd::AsFd::as_fd(&pidfd), patience).unwrap();
    if !ended {
        child.kill().unwrap();
        child.wait().unwrap();
        let _ = bench.command(&["delete", "--force", id]).output();
        return None;
    }
    child.wait().unwrap().code()
}

/// Containers `first..last`, each with an exit code of its own.
fn series(next: &AtomicU32, last: u32) {
    let mut bench = Bench::new(&["true"]);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= last {
            return;
        }
        let code = (number % 256) as i32;
        bench.config["process"]["args"] = json!(["sh", "-c", format!("exit {code}")]);
        let id = format!("{}-{number}", bench.id);
        bench.config["linux"]["cgroupsPath"] = json!(format!("/keelson-test-oci/{id}"));
        std::fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
        assert_eq!(run(&bench, &id), Some(code), "container {number}");
    }
}

#[test]
fn thousands_exit_at_once() {
    let count: u32 = std::env::var(VARIABLE).map_or(200, |count| count.parse().unwrap());
    let began = Instant::now();
    let next = AtomicU32::new(0);
    series(&next, count / 2);
    let alone = began.elapsed();
    next.store(count / 2, Ordering::Relaxed);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| series(&next, count));
        }
    });
    println!(
        "{} containers back to back in {alone:?}, {} more {AT_ONCE} at a time in {:?}",
        count / 2,
        count - count / 2,
        began.elapsed().checked_sub(alone).unwrap()
    );
}
