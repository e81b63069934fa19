//! The runtime's own integration tests, with the controllers that hosts of developers may lack.

use anyhow::Result;
use keelson_machines::{Kernel, Lab};

use crate::Test;
use crate::inside::TestProgram;

pub const TESTS: &[Test] = &[("runtime::node", node), ("runtime::oci", oci)];

fn node(lab: &Lab, kernel: Kernel) -> Result<()> {
    TestProgram {
        package: "keelson-runtime",
        target: "node",
        arguments: "--test-threads=2",
        environment: "",
    }
    .run(lab, kernel)
}

fn oci(lab: &Lab, kernel: Kernel) -> Result<()> {
    TestProgram {
        package: "keelson-runtime",
        target: "oci",
        arguments: "--test-threads=2",
        environment: "",
    }
    .run(lab, kernel)
}
