//! A disk that refuses to synchronize: the control plane ends with the reason, and starts anew with what is stored.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::place::Place;

/// Makes every fdatasync(2) of a process fail from now on; `None` where there is no strace.
fn break_disk(pid: u32) -> Option<Child> {
    let mut strace = Command::new("strace")
        .args([
            "-f",
            "-e",
            "trace=fdatasync",
            "-e",
            "inject=fdatasync:error=EIO",
            "-p",
        ])
        .arg(pid.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    // It says when it has attached to the process, and goes on writing until both end.
    let mut lines = BufReader::new(strace.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("attached"), "{first}");
    std::thread::spawn(move || lines.for_each(drop));
    Some(strace)
}

#[test]
fn the_control_plane_ends_when_its_disk_fails_and_loses_nothing() {
    let mut place = Place::new();
    place.start();
    let before = place.create("before");
    let Some(mut strace) = break_disk(place.control.as_ref().unwrap().id()) else {
        eprintln!("skipped: there is no strace here to make system calls fail");
        return;
    };
    assert!(
        place.try_create("during").is_err(),
        "acknowledged by a disk that failed"
    );
    let mut control = place.control.take().unwrap();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = control.try_wait().unwrap() {
            break status;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it goes on");
        std::thread::sleep(Duration::from_millis(20));
    };
    strace.wait().unwrap();
    assert_eq!(status.code(), Some(1));
    let log = fs::read_to_string(place.path("control.log")).unwrap();
    let said = log.lines().last().unwrap_or_default();
    for part in ["keelson: store: ", "store.redb", "Input/output error"] {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
    // The disk is well again.
    place.start();
    let (names, revision) = place.list();
    assert!(names.contains(&"before".to_owned()) && revision >= before);
    assert!(place.create("after") > before);
    place.stop(Signal::SIGTERM);
}
