//! Commands in a container, for probes and hooks.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use keelson_runtime::node::{Exec, ExecSpec, NodeRuntime};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::runner::Verdict;

/// Most bytes kept of a command's output.
const OUTPUT_LIMIT: usize = 10 << 10;

pub(super) async fn probe(
    runtime: &NodeRuntime,
    id: &str,
    command: Vec<String>,
    timeout: Duration,
) -> Verdict {
    match run(runtime, id, command, Some(timeout)).await {
        Ok(Some((0, _))) => Verdict::Success,
        Ok(Some((_, output))) => Verdict::Failure(output),
        Ok(None) => {
            let seconds = timeout.as_secs();
            Verdict::Failure(format!(
                "command timed out: context deadline exceeded after {seconds}s"
            ))
        }
        Err(error) => Verdict::Error(error),
    }
}

/// Runs a command to its end: exit code and what it said; `None` if it had to be killed after `timeout`. The
/// container's own end ends it.
///
/// Each command has a thread of its own: a pool could be filled by commands that hang, and then nothing on the node
/// would start or stop any more.
pub async fn run(
    runtime: &NodeRuntime,
    id: &str,
    command: Vec<String>,
    timeout: Option<Duration>,
) -> Result<Option<(i32, String)>, String> {
    let (runtime, id) = (runtime.clone(), id.to_owned());
    let (done, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("kl-exec".into())
        .stack_size(256 << 10)
        .spawn(move || {
            // Nobody may be waiting any more.
            let _ = done.send(blocking(&runtime, &id, command, timeout));
        })
        .map_err(|error| format!("start a thread: {error}"))?;
    result
        .await
        .map_err(|_| "the command's thread ended without a result".to_owned())?
}

fn blocking(
    runtime: &NodeRuntime,
    id: &str,
    command: Vec<String>,
    timeout: Option<Duration>,
) -> Result<Option<(i32, String)>, String> {
    let spec = ExecSpec {
        args: command,
        stdout: true,
        stderr: true,
        ..ExecSpec::default()
    };
    let mut exec = runtime.exec(id, &spec).map_err(|error| error.to_string())?;
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut output = Vec::new();
    if !follow(&mut exec, &mut output, deadline).map_err(|errno| format!("poll: {errno}"))? {
        exec.kill().map_err(|error| error.to_string())?;
        return Ok(None);
    }
    let code = exec.wait().map_err(|error| error.to_string())?;
    Ok(Some((code, String::from_utf8_lossy(&output).into_owned())))
}

/// Collects output until the command has ended; `false` if the deadline came first.
fn follow(exec: &mut Exec, output: &mut Vec<u8>, deadline: Option<Instant>) -> Result<bool, Errno> {
    loop {
        let wait = match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
            Some(left) if left.is_zero() => return Ok(false),
            // One millisecond more, so as not to wake just before the deadline.
            Some(left) => PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let (ended, out, err) = {
            let mut fds = vec![PollFd::new(exec.exit_fd(), PollFlags::POLLIN)];
            let streams = [&exec.stdout, &exec.stderr];
            fds.extend(
                streams
                    .iter()
                    .filter_map(|s| s.as_ref())
                    .map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)),
            );
            match poll(&mut fds, wait) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
            let mut ready = fds.iter().map(|fd| fd.any().unwrap_or(false));
            let ended = ready.next().unwrap_or(false);
            let out = exec.stdout.is_some() && ready.next().unwrap_or(false);
            let err = exec.stderr.is_some() && ready.next().unwrap_or(false);
            (ended, out, err)
        };
        if out {
            drain(&mut exec.stdout, output);
        }
        if err {
            drain(&mut exec.stderr, output);
        }
        // What was written before the end has been read: the streams are asked first.
        if ended && !out && !err {
            return Ok(true);
        }
    }
}

/// Reads once; closes the stream at its end.
fn drain(stream: &mut Option<OwnedFd>, output: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    let Some(fd) = stream.as_ref() else { return };
    match nix::unistd::read(fd, &mut buffer) {
        Ok(read) if read > 0 => {
            let room = OUTPUT_LIMIT.saturating_sub(output.len());
            output.extend_from_slice(&buffer[..read.min(room)]);
        }
        Err(Errno::EINTR | Errno::EAGAIN) => {}
        _ => *stream = None,
    }
}
