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

use keelson_machines::{Accelerator, Kernel, Lab, Machine};
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
    eprintln!("machines: {} boots had to be repeated", Machine::retries());
    conclusion.exit()
}

fn trials(lab: Option<&Arc<Lab>>, ignored: bool) -> Vec<Trial> {
    let tests = [
        boot::TESTS,
        link::TESTS,
        runtime::TESTS,
        cluster::TESTS,
        power::TESTS,
    ]
    .concat();
    let mut trials = Vec::new();
    for kernel in Kernel::ALL {
        for (name, _, test) in tests.iter().filter(|(_, kernels, _)| kernels.contains(&kernel)) {
            let (test, lab) = (*test, lab.cloned());
            let run = move || match lab {
                Some(lab) => test(&lab, kernel).map_err(|error| format!("{error:?}").into()),
                None => Err("without machines nothing can run".into()),
            };
            trials.push(Trial::test(format!("{}::{name}", kernel.series()), run).with_ignored_flag(ignored));
        }
    }
    trials
}
