//! `make test-vm`: test groups inside virtual machines. Each group has a machine of its own.
//!
//! `KEELSON_TEST_VM=1 cargo test -p keelson-machines --test groups [FILTER]`; without the variable every test is ignored.

mod boot;
mod cluster;
mod inside;
mod link;
mod power;
mod runtime;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keelson_machines::{Accelerator, Error, Kernel, Lab, Machine};
use libtest_mimic::{Arguments, Trial};

/// A test: its name, the kernels that it is for, and what it does on one.
type Test = (
    &'static str,
    &'static [Kernel],
    fn(&Lab, Kernel) -> anyhow::Result<()>,
);

/// For what the kernel has no part in.
const DEFAULT: &[Kernel] = &[Kernel::Linux6_1];
/// For what kernels do differently.
const ALL: &[Kernel] = &Kernel::ALL;

fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::from_args();
    let wanted =
        std::env::var_os("KEELSON_TEST_VM").is_some() || arguments.ignored || arguments.include_ignored;
    if arguments.list || !wanted {
        libtest_mimic::run(&arguments, trials(None, true)).exit();
    }
    // An emulated machine keeps one core busy.
    arguments.test_threads.get_or_insert(2);
    let lab = Arc::new(Lab::new()?);
    eprintln!(
        "machines run by {}",
        match lab.accelerator {
            Accelerator::Kvm => "KVM",
            Accelerator::Emulation => "software emulation",
        }
    );
    let conclusion = libtest_mimic::run(&arguments, trials(Some(&lab), false));
    eprintln!(
        "machines: {} boots and {} tests whose machine vanished had to be repeated",
        Machine::retries(),
        VANISHED.load(Ordering::Relaxed)
    );
    conclusion.exit()
}

static VANISHED: AtomicUsize = AtomicUsize::new(0);

/// Runs a test; once more if its machine ended without the script's end mark, and for no other reason.
fn run(test: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let vanished = |error: &anyhow::Error| {
        error
            .chain()
            .any(|cause| cause.downcast_ref::<Error>().is_some_and(Error::is_machine))
    };
    test().or_else(|error| {
        if !vanished(&error) {
            return Err(error);
        }
        eprintln!("{error:#}\ntrying the same once more");
        VANISHED.fetch_add(1, Ordering::Relaxed);
        test()
    })
}

fn trials(lab: Option<&Arc<Lab>>, ignored: bool) -> Vec<Trial> {
    // The longest first, so that both processors are busy to the end.
    let tests = [
        runtime::TESTS,
        power::TESTS,
        cluster::TESTS,
        link::TESTS,
        boot::TESTS,
    ]
    .concat();
    let mut trials = Vec::new();
    for kernel in Kernel::ALL {
        for (name, _, test) in tests.iter().filter(|(_, kernels, _)| kernels.contains(&kernel)) {
            let (test, lab) = (*test, lab.cloned());
            let body = move || match lab {
                Some(lab) => run(|| test(&lab, kernel)).map_err(|error| format!("{error:?}").into()),
                None => Err("without machines nothing can run".into()),
            };
            trials.push(Trial::test(format!("{}::{name}", kernel.series()), body).with_ignored_flag(ignored));
        }
    }
    trials
}
