//! Many containers on one machine: does the last start as quickly as the first?

use std::time::Duration;

use super::library::Pod;
use super::measure::{percentile, time};
use super::{Bench, Outcome, bundle};

const CONTAINERS: usize = 500;
const PART: usize = 100;

fn print(what: &str, times: &[Duration]) {
    let (first, last) = (&times[..PART], &times[times.len() - PART..]);
    if let (Some(before), Some(after)) = (percentile(first, 50), percentile(last, 50)) {
        println!("| {what} | {before:.2} | {after:.2} | {:.2} |", after / before);
    }
}

/// Prints the table.
pub fn measure(bench: &Bench) -> Outcome<()> {
    println!("\n{CONTAINERS} containers that stay (ms to start one, medians)\n");
    println!("| | first {PART} | last {PART} | ratio |\n|---|---|---|---|");
    let bundle = bundle::lasting(&bench.directory);
    for runtime in bench.runtimes.iter().take(1) {
        let ids: Vec<String> = (0..CONTAINERS).map(|number| format!("many{number}")).collect();
        let times = ids.iter().map(|id| time(|| runtime.run_detached(&bundle, id)));
        let times: Outcome<Vec<Duration>> = times.collect();
        for id in &ids {
            runtime.remove(id)?;
        }
        print(&format!("{} run --detach", runtime.name), &times?);
    }
    let pod = Pod::new(bench, "many")?;
    let times = (0..CONTAINERS).map(|number| {
        let id = format!("pod{number}");
        time(|| {
            pod.add_sandbox(&id)?;
            pod.start_in(&id, &["/bin/sleep", "100000"])
        })
    });
    let times: Outcome<Vec<Duration>> = times.collect();
    pod.remove()?;
    print("library: sandbox and container", &times?);
    Ok(())
}
