//! Daemons that are shell scripts. They tell what they do through a pipe in their data directory.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::stat::Mode;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::{OpenOptions, Receiver};

use super::*;

/// A data directory with a script as the program.
struct Place {
    dir: tempfile::TempDir,
    state: RefCell<StateFile>,
    stop: watch::Sender<bool>,
    ready: watch::Sender<bool>,
    told: Receiver,
}

impl Place {
    /// `$1` is the daemon's name; `tell` writes one letter to the pipe.
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        let script = format!("#!/bin/sh\ncd $3\ntell() {{ printf $1 > told; }}\n{script}");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let pipe = |name| {
            let path = dir.path().join(name);
            nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
            path
        };
        // Open for writing as well, so that it does not end between two writers.
        let told = OpenOptions::new()
            .read_write(true)
            .open_receiver(pipe("told"))
            .unwrap();
        pipe("go");
        let me = Process::current().unwrap();
        Self {
            state: RefCell::new(StateFile::create(dir.path(), me).unwrap()),
            stop: watch::Sender::new(false),
            ready: watch::Sender::new(false),
            told,
            dir,
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn daemon(&self, name: &'static str) -> Daemon {
        Daemon {
            program: self.path().join("program"),
            name,
            data_dir: self.path().to_owned(),
            log: None,
            error_file: self.path().join(format!("{name}.error")),
        }
    }
}

/// The next letter that a script tells.
async fn next(told: &mut Receiver) -> char {
    let letter = tokio::time::timeout(Duration::from_secs(30), told.read_u8()).await;
    letter.expect("nothing is told").unwrap().into()
}

#[tokio::test]
async fn another_stop_while_a_daemon_ends_stops_nobody_else() {
    let mut place = Place::new(
        "trap 'kill $c; tell e; read x < go; exit' TERM\nsleep 60 2> /dev/null & c=$!\ntell r\nwait",
    );
    let daemon = place.daemon("netd");
    let stop = &place.stop;
    let (told, path, ready) = (&mut place.told, place.dir.path(), place.ready.subscribe());
    let supervised = supervise(&daemon, &place.state, stop.subscribe(), &ready);
    let test = async {
        assert_eq!(next(told).await, 'r');
        stop.send_replace(true);
        assert_eq!(next(told).await, 'e');
        let sender = stop.clone();
        let sent = tokio::task::spawn_blocking(move || sender.send_replace(true));
        let sent = tokio::time::timeout(Duration::from_secs(10), sent).await;
        sent.expect("the sender waits for the daemon's end").unwrap();
        std::fs::write(path.join("go"), "\n").unwrap();
    };
    let (outcome, ()) = tokio::join!(supervised, test);
    outcome.unwrap();
}

#[tokio::test]
async fn who_gives_up_takes_the_others_along() {
    let place = Place::new(
        "trap 'kill $c; printf e > ended; exit' TERM\n\
         if [ $1 = control ]; then read x < go; exit 1; fi\n\
         sleep 60 2> /dev/null & c=$!\n\
         echo > go\n\
         wait",
    );
    let daemons = [place.daemon("control"), place.daemon("netd")];
    let ready = place.ready.subscribe();
    let running = super::super::supervise_all(&daemons, &place.state, &place.stop, &ready);
    let failure = tokio::time::timeout(Duration::from_secs(30), running).await;
    assert_eq!(failure.unwrap().unwrap_err().daemon, "control");
    assert!(place.path().join("ended").exists(), "netd goes on");
}

#[tokio::test]
async fn what_cannot_be_started_is_tried_again_once_the_cluster_was_ready() {
    for was_ready in [false, true] {
        let mut place = Place::new("trap 'kill $c; exit' TERM\nsleep 60 2> /dev/null & c=$!\ntell r\nwait");
        place.ready.send_replace(was_ready);
        let logs = place.path().join("logs");
        let mut daemon = place.daemon("netd");
        daemon.log = Some(logs.join("netd.log"));
        let (told, stop, ready) = (&mut place.told, &place.stop, place.ready.subscribe());
        let supervised = supervise(&daemon, &place.state, stop.subscribe(), &ready);
        let test = async {
            // The first attempt has failed: it comes first.
            std::fs::create_dir(&logs).unwrap();
            assert_eq!(next(told).await, 'r');
            stop.send_replace(true);
            std::future::pending::<()>().await;
        };
        let outcome = tokio::select! {
            biased;
            outcome = supervised => outcome,
            () = test => unreachable!("it waits for ever"),
        };
        assert_eq!(outcome.is_ok(), was_ready, "{outcome:?}");
    }
}
