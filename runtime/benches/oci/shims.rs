//! Private memory of a pod's shim.

use std::fs::{self, File};
use std::os::fd::AsFd;

use keelson_runtime::sys;

use super::library::Pod;
use super::{Bench, Outcome, why};

const PODS: usize = 8;

/// `Private_Clean` and `Private_Dirty` of a process, in KiB.
fn private(pid: i32) -> Outcome<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).map_err(why("smaps_rollup"))?;
    let kib = |key: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok())
            .ok_or_else(|| format!("no {key} in smaps_rollup"))
    };
    Ok(kib("Private_Clean:")? + kib("Private_Dirty:")?)
}

/// Prints it, of several pods: what they share counts for none.
pub fn measure(bench: &Bench) -> Outcome<()> {
    let pod = Pod::new(bench, "shim0")?;
    for number in 0..PODS {
        let id = format!("shim{number}");
        if number > 0 {
            pod.add_sandbox(&id)?;
        }
        pod.start_in(&id, &["/bin/sleep", "100000"])?;
    }
    let mut found = Vec::new();
    for number in 0..PODS {
        let lock = pod.run_directory().join(format!("pods/shim{number}/shim.lock"));
        let lock = File::open(lock).map_err(why("the shim's lock"))?;
        let holder = sys::lock_holder(lock.as_fd()).map_err(why("the shim's lock"))?;
        found.push(private(holder.ok_or("no shim")?)?);
    }
    println!("\nprivate memory of {PODS} shims with a container each, KiB: {found:?}");
    pod.remove()
}
