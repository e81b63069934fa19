//! `run`, and the life of a container in the four commands that containerd and podman give.

use std::process::{Command, Stdio};

use super::floor::{self, Root};
use super::measure::{Subject, alternate, time};
use super::{Bench, Outcome, bundle, why};

/// Prints both tables.
pub fn measure(bench: &Bench) -> Outcome<()> {
    let rootfs = bundle::rootfs(&bench.directory);
    let bundle = bundle::brief(&bench.directory);
    let mut subjects = vec![
        Subject::new("fork and exec of true", || {
            let program = rootfs.join("bin/true");
            time(|| {
                let status = Command::new(&program).stdin(Stdio::null()).status();
                status.map_err(why("true"))
            })
        }),
        Subject::new("bare system calls, bind mount", || {
            floor::container(Root::Bind, &rootfs, &bench.directory)
        }),
    ];
    for (number, runtime) in bench.runtimes.iter().enumerate() {
        let bundle = &bundle;
        let id = format!("run{number}");
        let name = format!("{} run", runtime.name);
        subjects.push(Subject::new(name, move || time(|| runtime.run(bundle, &id))));
    }
    alternate("run of true", bench.rounds, "crun", subjects);
    let lives = bench.runtimes.iter().enumerate().map(|(number, runtime)| {
        let bundle = &bundle;
        let id = format!("life{number}");
        Subject::new(runtime.name.clone(), move || {
            time(|| runtime.life(bundle, &id, &bench.directory))
        })
    });
    alternate(
        "create, start, wait, delete",
        bench.rounds,
        "crun",
        lives.collect(),
    );
    Ok(())
}
