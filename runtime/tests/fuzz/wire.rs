//! The shim's protocol, and the records that shims and launchers leave in files.

use keelson_runtime::launch::Plan;
use keelson_runtime::shim::launcher::LaunchRequest;
use keelson_runtime::shim::protocol::{self, ExitRecord, Reply, Request, RunningRecord, SandboxPlan};
use keelson_runtime::wire::Wire;

use crate::driver;
use crate::random;

/// What was read is read again as itself. (Its bytes may differ: what a newer version wrote is left out.)
fn whole<T: Wire + PartialEq + std::fmt::Debug>(data: &[u8]) -> bool {
    let Ok(value) = T::from_bytes(data) else {
        return false;
    };
    let bytes = value.to_bytes();
    assert!(
        bytes.len() <= 4096 + 64 * data.len(),
        "{} bytes became {}",
        data.len(),
        bytes.len()
    );
    assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(&value));
    true
}

/// A stream taken apart, in pieces, as the shim does.
fn stream(data: &[u8]) -> bool {
    let (mut buffer, mut taken) = (Vec::new(), false);
    for piece in data.chunks(7) {
        buffer.extend_from_slice(piece);
        loop {
            let before = buffer.len();
            match protocol::unframe::<Request>(&mut buffer) {
                Ok(Some(request)) => {
                    taken = true;
                    assert!(buffer.len() + 4 <= before, "a message of nothing");
                    let mut frame = protocol::frame(&request);
                    assert_eq!(protocol::unframe(&mut frame), Ok(Some(request)));
                    assert!(frame.is_empty());
                }
                Ok(None) => break,
                Err(_) => return taken,
            }
        }
    }
    taken
}

/// Returns whether it was taken for good.
pub fn target(data: &[u8]) -> bool {
    let Some((first, rest)) = data.split_first() else {
        return false;
    };
    match first % 9 {
        0 => stream(rest),
        1 => whole::<Request>(rest),
        2 => whole::<Reply>(rest),
        3 => whole::<SandboxPlan>(rest),
        4 => whole::<ExitRecord>(rest),
        5 => whole::<RunningRecord>(rest),
        6 => whole::<LaunchRequest>(rest),
        7 => whole::<Plan>(rest),
        _ => {
            let record = keelson_runtime::launch::Record::decode(rest);
            record.is_some_and(|record| {
                keelson_runtime::launch::Record::decode(&record.encode()) == Some(record)
            })
        }
    }
}

/// One of each kind, with the plans of `config.json`s of their corpus: made here, since the format changes.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let mut add = |kind: u8, bytes: Vec<u8>| seeds.push([vec![kind], bytes].concat());
    let id = || "abc".to_owned();
    for (_, text) in driver::corpus("config") {
        let Some(plan) = crate::config::plan(&text) else {
            continue;
        };
        let process = plan.process.clone();
        let log = Some(protocol::LogPlan {
            path: "/log".to_owned(),
            max_size: 1,
            max_files: 2,
        });
        let create = Request::Create {
            id: id(),
            plan: plan.clone(),
            stdin: true,
            stdin_once: false,
            log,
        };
        let exec = Request::Exec {
            id: id(),
            process,
            cgroup: Some("/cgroup".to_owned()),
            streams: 7,
        };
        add(0, [protocol::frame(&create), protocol::frame(&exec)].concat());
        add(1, create.to_bytes());
        add(1, exec.to_bytes());
        add(7, plan.to_bytes());
    }
    for request in [
        Request::Start { id: id() },
        Request::Attach { id: id() },
        Request::Resize {
            columns: 80,
            rows: 24,
        },
        Request::Kill {},
        Request::Signal { id: id(), signal: 9 },
        Request::Forget { id: id() },
        Request::Shutdown {},
    ] {
        add(0, protocol::frame(&request));
        add(1, request.to_bytes());
    }
    for reply in [
        Reply::Done {},
        Reply::Created { pid: 7 },
        Reply::Session {
            streams: 3,
            terminal: false,
        },
        Reply::Failed {
            message: id(),
            exit_code: 127,
        },
    ] {
        add(2, reply.to_bytes());
    }
    add(
        5,
        RunningRecord {
            pid: 5,
            started_at: 6,
        }
        .to_bytes(),
    );
    let failure = keelson_runtime::launch::Failure {
        step: keelson_runtime::launch::Step::Mount,
        index: 3,
        errno: keelson_runtime::sys::Errno(2),
    };
    let record = keelson_runtime::launch::Record {
        kind: keelson_runtime::launch::RecordKind::Failed(failure),
    };
    add(8, record.encode().to_vec());
    seeds
}

#[test]
fn fuzz() {
    driver::run(
        "wire",
        seeds(),
        <[u8]>::to_vec,
        |random, corpus| {
            let mut data = random.pick(corpus).clone();
            random::bytes(random, &mut data, corpus);
            data
        },
        target,
    );
}
