//! The machines themselves.

use std::time::Duration;

use anyhow::{Result, ensure};
use keelson_machines::{Kernel, Lab, Setup};

use crate::{ALL, Test};

pub const TESTS: &[Test] = &[("boot::a_machine", ALL, a_machine)];

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
