//! The client libraries that people use, against one private cluster: Python's `kubernetes`, JavaScript's
//! `@kubernetes/client-node` and the Rust `kube` crate. Each test has a namespace of its own.
//!
//! `cargo test -p keelson-tests --test clients [FILTER]`; `KEELSON_BIN` names the binary. What a language needs is installed
//! below the target directory. Where that cannot be, its tests are ignored and the reason is printed; with
//! `KEELSON_TEST_PEERS` in the environment (CI) that is a failure.

mod javascript;
mod packages;
mod python;
mod rust;

use std::sync::Arc;
use std::thread;

use anyhow::{Result, bail};
use keelson_tests::context::{self, Suite, Test};
use libtest_mimic::{Arguments, Trial};

fn main() -> Result<()> {
    let mut arguments = Arguments::from_args();
    // Two cores: more at once only makes every time-out tighter.
    arguments.test_threads.get_or_insert(3);
    if arguments.list {
        libtest_mimic::run(&arguments, trials(&Arc::new(Suite::unstarted()))).exit();
    }
    let suite = thread::scope(|scope| {
        scope.spawn(python::missing);
        scope.spawn(javascript::missing);
        Suite::start()
    })?;
    let suite = Arc::new(suite);
    for (language, missing) in [
        ("Python", python::missing()),
        ("JavaScript", javascript::missing()),
    ] {
        if let Some(why) = missing {
            if std::env::var_os("KEELSON_TEST_PEERS").is_some() {
                suite.stop();
                bail!("{language}'s client is not there: {why}");
            }
            println!("skipped: the tests of {language}'s client: {why}");
        }
    }
    let outcome = libtest_mimic::run(&arguments, trials(&suite));
    if outcome.has_failed() {
        eprintln!("{}", suite.logs());
    }
    suite.confess();
    suite.stop();
    outcome.exit()
}

fn trials(suite: &Arc<Suite>) -> Vec<Trial> {
    let of = |tests: &[Test], ignored: bool| -> Vec<Trial> {
        tests
            .iter()
            .map(|test| suite.trial(*test).with_ignored_flag(ignored))
            .collect()
    };
    // When only listed, nothing has been installed, and nothing is.
    let (python, javascript) = (python::known_missing(), javascript::known_missing());
    [
        of(rust::TESTS, false),
        of(python::TESTS, python),
        of(javascript::TESTS, javascript),
    ]
    .into_iter()
    .flatten()
    .collect()
}
