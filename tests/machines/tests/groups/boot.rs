//! The machines themselves.

use std::time::Duration;

use anyhow::{Result, ensure};
use keelson_machines::{Disk, Kernel, Lab, Setup};

use crate::{ALL, DEFAULT, Test};

pub const TESTS: &[Test] = &[
    ("boot::a_machine", ALL, a_machine),
    ("boot::power_is_cut", DEFAULT, power_is_cut),
];

fn a_machine(lab: &Lab, kernel: Kernel) -> Result<()> {
    let mut machine = Setup::new(kernel).text("hello\n", "/opt/greeting").boot(lab)?;
    ensure!(
        machine.release().starts_with(kernel.series()),
        "{}",
        machine.release()
    );
    let run = machine.run("cat /opt/greeting; echo bad >&2; exit 3", Duration::from_secs(30))?;
    ensure!(run.code == 3 && run.output == "hello\nbad\n", "{run:?}");
    ensure!(machine.run("kill -9 $$", Duration::from_secs(30))?.code == 137);
    let controllers = machine.ok("cat /sys/fs/cgroup/cgroup.controllers")?;
    for name in ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"] {
        ensure!(controllers.contains(name), "{name} is not in {controllers}");
    }
    // What runs on in the background holds nothing up.
    machine.ok("sleep 1000 & dd if=/dev/zero of=/tmp/zeros bs=1M count=3 2>&1")?;
    ensure!(
        machine.read("/tmp/zeros")? == vec![0; 3 << 20],
        "three MiB of zeros"
    );
    machine.power_off()?;
    Ok(())
}

/// What was written back is on the disk after a cut, and what was not is lost: else a test of power loss shows nothing.
fn power_is_cut(lab: &Lab, kernel: Kernel) -> Result<()> {
    let disk = Disk::new(64)?;
    let setup = Setup::new(kernel).memory(512).disk(&disk);
    let mut machine = setup.boot(lab)?;
    machine.start("cd /disk0; echo kept >kept; sync; echo lost >lost; echo now; sleep 1000")?;
    machine.wait_for("now\n", Duration::from_secs(30))?;
    machine.cut();
    let mut machine = setup.boot(lab)?;
    let files = machine.ok("cd /disk0; cat kept; cat lost 2>&1; true")?;
    ensure!(
        files.starts_with("kept\n") && !files.contains("\nlost\n"),
        "{files}"
    );
    machine.ok("echo later >/disk0/later")?;
    machine.power_off()?;
    let mut machine = setup.boot(lab)?;
    ensure!(machine.ok("cat /disk0/later")? == "later\n");
    Ok(())
}
