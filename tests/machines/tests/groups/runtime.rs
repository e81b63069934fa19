//! The runtime's own integration tests, with the controllers that hosts of developers may lack.

use anyhow::Result;
use keelson_machines::{Kernel, Lab};

use crate::inside::TestProgram;
use crate::{ALL, DEFAULT, Test};

pub const TESTS: &[Test] = &[
    ("runtime::node", ALL, node),
    ("runtime::oci", ALL, oci),
    ("runtime::limits", ALL, limits),
    ("runtime::systemd", DEFAULT, systemd),
    ("runtime::limits_of_crun", DEFAULT, limits_of_crun),
];

fn run(
    (target, arguments, environment): (&'static str, &'static str, &'static str),
    lab: &Lab,
    kernel: Kernel,
) -> Result<()> {
    TestProgram {
        target,
        arguments,
        environment,
    }
    .run(lab, kernel)
}

fn node(lab: &Lab, kernel: Kernel) -> Result<()> {
    // Many starts and large logs show nothing here that the host has not shown, and take minutes under emulation.
    let arguments = "--test-threads=2 --skip short_lives --skip logs_rotate --skip binary_without_newlines";
    run(("node", arguments, ""), lab, kernel)
}

fn oci(lab: &Lab, kernel: Kernel) -> Result<()> {
    // What needs controllers; all of it would take many minutes under emulation, and passes on the host.
    run(("oci", "--test-threads=2 cgroups::", ""), lab, kernel)
}

/// The driver for systemd, with a real one.
fn systemd(lab: &Lab, kernel: Kernel) -> Result<()> {
    let environment = "KEELSON_TEST_SYSTEMD=1 in-systemd";
    run(
        ("oci", "--exact cgroups::systemd_scopes", environment),
        lab,
        kernel,
    )
}

fn limits(lab: &Lab, kernel: Kernel) -> Result<()> {
    run(("limits", "--ignored --test-threads=1", ""), lab, kernel)
}

/// The command line's tests on a proven runtime: one that it fails would be a wrong test.
fn limits_of_crun(lab: &Lab, kernel: Kernel) -> Result<()> {
    run(
        (
            "limits",
            "--ignored --test-threads=1 oci::",
            "KEELSON_TEST_OCI_RUNTIME=/usr/bin/crun",
        ),
        lab,
        kernel,
    )
}
