//! Runs the host's scripts, one after another, and sends their output.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use keelson_machines::wire::Frame;

/// The device of the virtio port to the host.
pub fn find_port() -> io::Result<PathBuf> {
    for entry in fs::read_dir("/sys/class/virtio-ports")? {
        let path = entry?.path();
        if fs::read_to_string(path.join("name"))?.trim() == "keelson.agent"
            && let Some(name) = path.file_name()
        {
            return Ok(PathBuf::from("/dev").join(name));
        }
    }
    Err(io::Error::new(ErrorKind::NotFound, "no port keelson.agent"))
}

/// Serves until the host has gone or asks for power off.
pub fn serve() -> io::Result<()> {
    let mut port = File::options().read(true).write(true).open(find_port()?)?;
    // Shells get addresses on it.
    let _ = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    crate::boot::hello()?.write(&mut port)?;
    loop {
        match Frame::read(&mut port)? {
            Some(Frame::Run(script)) => {
                let code = run(&script, &mut port)?;
                Frame::Exit(code).write(&mut port)?;
            }
            None | Some(Frame::PowerOff) => return Ok(()),
            Some(other) => return Err(io::Error::new(ErrorKind::InvalidData, format!("{other:?}"))),
        }
    }
}

/// Runs a script and sends its output; ends with it, not with what it leaves in the background.
fn run(script: &str, port: &mut File) -> io::Result<i32> {
    let (output, writer) = io::pipe()?;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script])
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("HOME", "/root")
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0);
    let mut child = command.spawn()?;
    drop(command); // and with it this process's writing ends
    let (ended, end) = io::pipe()?;
    let sender = {
        let port = port.try_clone()?;
        thread::spawn(move || send(output.into(), &ended.into(), port))
    };
    let status = child.wait()?;
    drop(end);
    match sender.join() {
        Ok(sent) => sent?,
        Err(_) => return Err(io::Error::other("the sender of output panicked")),
    }
    Ok(status
        .code()
        .or(status.signal().map(|signal| 128 + signal))
        .unwrap_or(-1))
}

/// Sends output until its end, or until all is sent that was there when `ended` was closed.
fn send(output: OwnedFd, ended: &OwnedFd, mut port: File) -> io::Result<()> {
    fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let mut output = File::from(output);
    let mut buffer = vec![0; 32 << 10];
    let mut over = false;
    loop {
        match output.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => Frame::Output(buffer[..count].to_vec()).write(&mut port)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if over {
                    return port.flush();
                }
                let mut fds = [
                    PollFd::new(output.as_fd(), PollFlags::POLLIN),
                    PollFd::new(ended.as_fd(), PollFlags::POLLIN),
                ];
                poll(&mut fds, PollTimeout::NONE)?;
                over = fds[1].any().unwrap_or(false);
            }
            Err(error) => return Err(error),
        }
    }
}
