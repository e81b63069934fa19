//! Issue 2's commands, typed as a user types them, against one private cluster. Each test has a namespace of its own.
//!
//! `cargo test -p keelson-tests [FILTER]`; `KEELSON_BIN` names the binary, `KUBECTL` the kubectl.

mod applies;
mod controllers;
mod discovery;
mod failure;
mod guestbook;
mod identity;
mod network;
mod nodes;
mod objects;
mod pods;
mod spdy;
mod streams;
mod volumes;
mod workloads;

use std::sync::Arc;

use keelson_tests::context::{self, Suite};
use libtest_mimic::{Arguments, Trial};

fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::from_args();
    // Two cores: more at once only makes every time-out tighter.
    arguments.test_threads.get_or_insert(3);
    if arguments.list {
        libtest_mimic::run(&arguments, trials(&Arc::new(Suite::unstarted()))).exit();
    }
    let suite = Arc::new(Suite::start()?);
    let parallel = libtest_mimic::run(&arguments, trials(&suite));
    // These break daemons and drain the node, so nothing else may run beside them.
    arguments.test_threads = Some(1);
    let alone = libtest_mimic::run(&arguments, disruptive(&suite));
    let failed = parallel.has_failed() || alone.has_failed();
    if failed {
        eprintln!("{}", suite.logs());
    }
    suite.confess();
    suite.stop();
    std::process::exit(if failed { 101 } else { 0 })
}

/// Tests that run side by side.
fn trials(suite: &Arc<Suite>) -> Vec<Trial> {
    [
        discovery::TESTS,
        objects::TESTS,
        applies::TESTS,
        workloads::TESTS,
        controllers::TESTS,
        guestbook::TESTS,
        identity::TESTS,
        network::TESTS,
        streams::TESTS,
        spdy::TESTS,
        pods::TESTS,
        volumes::TESTS,
    ]
    .concat()
    .into_iter()
    .map(|test| suite.trial(test))
    .collect()
}

/// Tests that need the cluster for themselves.
fn disruptive(suite: &Arc<Suite>) -> Vec<Trial> {
    [nodes::TESTS, failure::TESTS]
        .concat()
        .into_iter()
        .map(|test| suite.trial(test))
        .collect()
}
