//! Test programs of the workspace's crates, run inside a machine.

use std::time::Duration;

use anyhow::{Result, bail};
use keelson_machines::{Disk, Kernel, Lab, Setup, programs};

/// A test target of the workspace, with its crate's own programs at the paths under which it was built to find them.
pub struct TestProgram {
    /// Its name, which no other crate's test has.
    pub target: &'static str,
    /// Arguments of the test program, as a shell has them.
    pub arguments: &'static str,
    /// Variables for it, as a shell has them.
    pub environment: &'static str,
}

impl TestProgram {
    /// Runs the program in a machine of its own; its output is shown if it fails.
    pub fn run(&self, lab: &Lab, kernel: Kernel) -> Result<()> {
        // With the features of the whole workspace, as `make unit` builds: so nothing is built twice.
        let workspace = ["test", "--no-run", "--workspace", "--exclude", "keelson-tests"];
        let built = programs::build(&[&workspace[..], &["--test", self.target]].concat())?;
        let disk = Disk::new(64)?;
        let mut setup = Setup::new(kernel).memory(1536).disk(&disk);
        for (name, file) in &built {
            setup = if name == self.target {
                setup.file(file, "/opt/test")
            } else {
                setup.file(file, file)
            };
        }
        let mut machine = setup.boot(lab)?;
        let script = format!("cd /tmp && {} /opt/test {}", self.environment, self.arguments);
        let run = machine.run(&script, Duration::from_mins(8))?;
        if run.code != 0 {
            bail!(
                "exit code {}\n{}\nconsole:\n{}",
                run.code,
                run.output,
                machine.console()
            );
        }
        // What runs a test says how many there were.
        for line in run.output.lines().filter(|line| line.starts_with("test result:")) {
            eprintln!("{} on {}: {line}", self.target, machine.release());
        }
        machine.power_off()?;
        Ok(())
    }
}
