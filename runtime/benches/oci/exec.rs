//! `exec` of `true` in a container that runs.

use keelson_runtime::node::ExecSpec;

use super::library::Pod;
use super::measure::{Subject, alternate, time};
use super::{Bench, Outcome, bundle};

/// Prints the table.
pub fn measure(bench: &Bench) -> Outcome<()> {
    let bundle = bundle::lasting(&bench.directory);
    let pod = Pod::new(bench, "exec")?;
    let container = pod.start(&["/bin/sleep", "100000"])?;
    let spec = ExecSpec {
        args: vec!["/bin/true".to_owned()],
        ..ExecSpec::default()
    };
    let mut subjects = Vec::new();
    for (number, runtime) in bench.runtimes.iter().enumerate() {
        let id = format!("exec{number}");
        if let Err(error) = runtime.run_detached(&bundle, &id) {
            println!("left out: {error}");
            continue;
        }
        subjects.push(Subject::new(format!("{} exec", runtime.name), move || {
            time(|| runtime.exec(&id))
        }));
    }
    subjects.push(Subject::new("library: exec", || {
        time(|| {
            let mut exec = pod.runtime.exec(&container, &spec).map_err(|e| e.to_string())?;
            exec.wait().map_err(|e| e.to_string())
        })
    }));
    alternate("exec of true", bench.rounds, "crun", subjects);
    for (number, runtime) in bench.runtimes.iter().enumerate() {
        runtime.remove(&format!("exec{number}"))?;
    }
    pod.remove()
}
