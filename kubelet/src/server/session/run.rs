//! Connecting a process with a client until one of them ends.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use keelson_streams::Closed;
use keelson_streams::channels::{Channel, Input};
use tokio::sync::{Notify, Semaphore, mpsc};

use super::client::{Client, Output};
use super::pipe::Pipe;
use super::process::{Leash, Process};
use super::status::Outcome;

/// Output is read and sent in pieces of this size.
const PIECE: usize = 16 << 10;
/// After the process's end, output of its children may still come; this long without any ends the session.
const DRAIN: Duration = Duration::from_secs(2);
/// After the end of the client's input, what the container answers may still come; likewise.
const ANSWER: Duration = Duration::from_millis(200);

/// How long a process may take with what its client had sent before it went away.
const PARTING: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });
/// How many may do so at a time.
static PARTINGS: Semaphore = Semaphore::const_new(64);
/// What it may say meanwhile to nobody.
const UNHEARD: usize = 1 << 20;

/// What kind of session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Kind {
    /// Its exit code is passed on.
    Exec {
        /// The process reads what its client has sent to the end, also when that has gone away meanwhile: clients of
        /// version 4 have no other way to end stdin. Not with a terminal, which hangs up.
        reads_on: bool,
    },
    /// The container's end is not the session's failure.
    Attach {
        /// The end of the client's input ends the session: the container's stdin stays open (`stdinOnce: false`), so it
        /// need not ever end itself.
        input_ends_it: bool,
    },
}

/// Runs a session and tells the client how it ended. `start` makes the process once the client is connected, as
/// upstream does, so that errors reach it through the error channel.
pub(in crate::server) async fn run(
    client: Client,
    kind: Kind,
    start: impl Future<Output = Result<Process, String>>,
) {
    let Client { input, output } = client;
    // Also for a client that is gone by then: it may have said already all that it wanted.
    let outcome = match start.await {
        Ok(process) => connect(process, input, &output, kind).await,
        Err(words) => Some(Outcome::Failed(words)),
    };
    if let Some(outcome) = outcome
        && output.tell(&outcome).await.is_ok()
    {
        output.finish().await;
    }
}

/// `None` if the client went away before the end; then the process is killed.
async fn connect(
    process: Process,
    input: mpsc::Receiver<Input>,
    output: &Output,
    kind: Kind,
) -> Option<Outcome> {
    let (stdin, stdout, stderr, exit, mut leash) = process.parts();
    let activity = Activity::default();
    let fed = Notify::new();
    let finished = {
        let outputs = async {
            // One that says too much to nobody ends the session, whatever the other does.
            tokio::try_join!(
                forward(stdout, Channel::Stdout, output, &activity),
                forward(stderr, Channel::Stderr, output, &activity),
            )
            .map(drop)
        };
        let mut outputs = std::pin::pin!(outputs);
        let running = async {
            tokio::select! {
                ended = Process::ended(&exit) => {
                    if ended.is_err() {
                        return Ok(());
                    }
                    drain(outputs, &activity).await
                }
                done = &mut outputs => {
                    done?;
                    // Closed its outputs and goes on.
                    let _ = Process::ended(&exit).await;
                    Ok(())
                }
            }
        };
        tokio::select! {
            finished = running => finished,
            () = feed(stdin, input, &leash, &activity, kind, &fed) => return Some(Outcome::Success),
            () = deserted(output, kind, &fed) => Err(Closed),
        }
    };
    finished.ok()?;
    Some(match (leash.exit_code(), kind) {
        (Ok(0), _) | (_, Kind::Attach { .. }) => Outcome::Success,
        (Ok(code), Kind::Exec { .. }) => Outcome::Exit(code),
        (Err(error), Kind::Exec { .. }) => {
            Outcome::Failed(format!("error executing command in container: {error}"))
        }
    })
}

/// Resolves when the client is gone and nothing of what it has sent is left to do.
async fn deserted(output: &Output, kind: Kind, fed: &Notify) {
    output.closed().await;
    match kind {
        Kind::Exec { reads_on: false } => {}
        // The end of its input ends such a process; one that goes on is killed. Where there are many of them, at once: they
        // count for no connection any more.
        Kind::Exec { reads_on: true } => {
            if let Ok(_parting) = PARTINGS.try_acquire() {
                tokio::time::sleep(PARTING).await;
            }
        }
        Kind::Attach { .. } => drop(tokio::time::timeout(PARTING, fed.notified()).await),
    }
}

/// What tells a quiet end of output from a slow client.
#[derive(Debug, Default)]
struct Activity {
    pieces: AtomicU64,
    sending: AtomicU64,
}

/// Copies one output to the client until its end.
async fn forward(
    from: Option<Pipe>,
    channel: Channel,
    to: &Output,
    activity: &Activity,
) -> Result<(), Closed> {
    let Some(pipe) = from else { return Ok(()) };
    loop {
        let mut piece = BytesMut::zeroed(PIECE);
        let count = match pipe.read(&mut piece).await {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) => {
                tracing::debug!(%error, ?channel, "reading output of a session");
                return Ok(());
            }
        };
        piece.truncate(count);
        activity.pieces.fetch_add(1, Relaxed);
        activity.sending.fetch_add(1, Relaxed);
        let sent = to.send(channel, piece.freeze()).await;
        activity.sending.fetch_sub(1, Relaxed);
        if sent.is_err() {
            return unheard(&pipe).await;
        }
    }
}

/// Reads what nobody hears any more, so that a process that says something is not kept from reading its input.
async fn unheard(pipe: &Pipe) -> Result<(), Closed> {
    let mut piece = vec![0; PIECE];
    let mut left = UNHEARD;
    while let Ok(count) = pipe.read(&mut piece).await
        && count > 0
    {
        left = left.checked_sub(count).ok_or(Closed)?;
    }
    Ok(())
}

/// Lets output end. A child in the background may hold it open for ever, so silence ends it, too.
async fn drain(
    outputs: std::pin::Pin<&mut impl Future<Output = Result<(), Closed>>>,
    activity: &Activity,
) -> Result<(), Closed> {
    tokio::select! {
        done = outputs => done,
        () = silence(activity, DRAIN) => Ok(()),
    }
}

/// Resolves when nothing has been written for so long, and the client has taken what was.
async fn silence(activity: &Activity, time: Duration) {
    loop {
        let before = activity.pieces.load(Relaxed);
        tokio::time::sleep(time).await;
        if activity.pieces.load(Relaxed) == before && activity.sending.load(Relaxed) == 0 {
            return;
        }
    }
}

/// Writes input to the process, and tells when all of it is written. Returns where the end of the input is the session's;
/// else never, for a client without input is still a client.
async fn feed(
    mut stdin: Option<Pipe>,
    mut input: mpsc::Receiver<Input>,
    leash: &Leash,
    activity: &Activity,
    kind: Kind,
    fed: &Notify,
) {
    while let Some(item) = input.recv().await {
        match item {
            Input::Stdin(bytes) => {
                if let Some(pipe) = &stdin
                    && pipe.write_all(&bytes).await.is_err()
                {
                    // The process has closed its stdin: what follows is dropped.
                    stdin = None;
                }
            }
            Input::StdinClosed if kind == (Kind::Attach { input_ends_it: true }) => {
                drop(stdin);
                let _ = tokio::time::timeout(DRAIN, silence(activity, ANSWER)).await;
                return;
            }
            Input::StdinClosed => stdin = None,
            Input::Resize(size) => leash.resize(size.width, size.height),
        }
    }
    // The client is gone.
    drop(stdin);
    fed.notify_one();
    std::future::pending::<()>().await;
}

/// Runs a process without a client, and returns its outputs together and its exit code. Output past the limit is
/// read and dropped.
pub(in crate::server) async fn collect(process: Process, limit: usize) -> Result<(Bytes, i32), String> {
    let (_stdin, stdout, stderr, exit, mut leash) = process.parts();
    let both = Mutex::new(BytesMut::new());
    let read = async |pipe: Option<Pipe>| {
        let Some(pipe) = pipe else { return };
        let mut piece = vec![0; PIECE];
        while let Ok(count) = pipe.read(&mut piece).await
            && count > 0
        {
            let mut both = both.lock().unwrap_or_else(PoisonError::into_inner);
            let room = limit.saturating_sub(both.len()).min(count);
            both.extend_from_slice(&piece[..room]);
        }
    };
    tokio::join!(read(stdout), read(stderr));
    Process::ended(&exit).await.map_err(|error| error.to_string())?;
    let code = leash.exit_code().map_err(|error| error.to_string())?;
    Ok((
        both.into_inner().unwrap_or_else(PoisonError::into_inner).freeze(),
        code,
    ))
}
