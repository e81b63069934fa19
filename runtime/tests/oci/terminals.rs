//! Terminals of the command line: relayed, and those that cannot be.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::command_line::started;
use crate::support::{Bench, is_ours};

/// A command on a terminal of ours, whose other end we hold.
fn on_a_terminal(mut command: Command) -> (std::process::Child, fs::File) {
    let size = nix::pty::Winsize {
        ws_row: 33,
        ws_col: 77,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = nix::pty::openpty(Some(&size), None).unwrap();
    let slave = || Stdio::from(pty.slave.try_clone().unwrap());
    let child = command
        .stdin(slave())
        .stdout(slave())
        .stderr(slave())
        .spawn()
        .unwrap();
    (child, fs::File::from(pty.master))
}

/// Reads until the text has come.
fn expect(master: &fs::File, text: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut seen = String::new();
    while !seen.contains(text) {
        assert!(Instant::now() < deadline, "no {text:?} in {seen:?}");
        if keelson_runtime::sys::poll_readable(master.as_fd(), 1000).unwrap() {
            let mut buffer = [0; 4096];
            match keelson_runtime::sys::read_fd(master.as_fd(), &mut buffer) {
                Ok(n) => seen += &String::from_utf8_lossy(&buffer[..n]),
                Err(errno) => panic!("{errno} after {seen:?}"),
            }
        }
    }
    seen
}

#[test]
fn a_terminal_is_relayed() {
    let mut bench = Bench::new(&[
        "sh",
        "-c",
        "stty size; read x; echo got $x; read y; stty size; exit 5",
    ]);
    bench.config["process"]["terminal"] = json!(true);
    fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
    let bundle = bench.directory.path().to_str().unwrap();
    let (mut child, mut master) = on_a_terminal(bench.command(&["run", "-b", bundle, &bench.id]));
    expect(&master, "33 77");
    master.write_all(b"hello\n").unwrap();
    expect(&master, "got hello");
    if is_ours() {
        // The signal comes to foreground processes; we are none of this terminal's, so it is sent by hand.
        keelson_runtime::sys::set_size(master.as_fd(), 100, 40).unwrap();
        keelson_runtime::sys::kill_pid(child.id() as i32, libc::SIGWINCH).unwrap();
        std::thread::sleep(Duration::from_millis(100)); // for the signal to be handled
        master.write_all(b"\n").unwrap();
        expect(&master, "40 100");
    } else {
        master.write_all(b"\n").unwrap();
    }
    assert_eq!(child.wait().unwrap().code(), Some(5));
    let settings = nix::sys::termios::tcgetattr(&master).unwrap();
    assert!(
        settings.local_flags.contains(nix::sys::termios::LocalFlags::ECHO),
        "the terminal has its settings back"
    );
}

#[test]
fn exec_on_a_terminal() {
    let bench = started(&["sleep", "1000"]);
    let (mut child, master) =
        on_a_terminal(bench.command(&["exec", "-t", &bench.id, "sh", "-c", "tty; exit 6"]));
    expect(&master, "/dev/pts/");
    assert_eq!(child.wait().unwrap().code(), Some(6));
}

#[test]
fn terminals_that_cannot_be() {
    let mut bench = Bench::new(&["true"]);
    let bundle = bench.directory.path().to_str().unwrap().to_owned();
    let socket = bench.path("socket");
    let with_socket = [
        "run",
        "-b",
        &bundle,
        "--console-socket",
        socket.to_str().unwrap(),
        &bench.id,
    ];
    assert!(!bench.output(&with_socket).status.success());
    bench.config["process"]["terminal"] = json!(true);
    assert!(
        !bench
            .output(&["run", "-d", "-b", &bundle, &bench.id])
            .status
            .success()
    );
    assert!(!bench.path("state").join(&bench.id).exists());
}
