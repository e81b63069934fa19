//! What a container costs: this runtime, the bare system calls, crun and runc, side by side and alternately in one run.
//! `cargo bench -p keelson-runtime --bench oci` (or `make bench-runtime`) prints tables for `docs/SPECIFICATION.md`.
//!
//! Needs root, Debian's `busybox-static`, and takes the peers that it finds; what is missing is said. `--rounds N` for
//! fewer or more samples, `--only WORD` for the tables whose title contains the word. `KEELSON_BIN` names the whole
//! binary, measured as `keelson runtime`. The machine's newest crun may come from another Debian release: see `peers`.

// Tables of functions of one form, and text for people: clippy would have them otherwise.
#![allow(
    clippy::type_complexity,
    clippy::unnecessary_wraps,
    clippy::format_push_string
)]

mod bundle;
mod commands;
mod exec;
mod floor;
mod library;
mod machine;
mod measure;
mod memory;
mod peers;
mod runs;
mod scale;
mod shims;

use std::path::PathBuf;

/// What the measurements share.
pub struct Bench {
    /// Scratch directory, removed at the end.
    pub directory: PathBuf,
    /// Samples of each subject.
    pub rounds: usize,
    /// Command lines that are there.
    pub runtimes: Vec<commands::Runtime>,
}

type Outcome<T> = Result<T, String>;

/// Adds what was being done to an error.
fn why<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> String + '_ {
    move |error| format!("{what}: {error}")
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).cloned()
    };
    let rounds = value("--rounds").and_then(|n| n.parse().ok()).unwrap_or(60);
    if let Err(error) = run(rounds, value("--only").as_deref()) {
        eprintln!("oci benchmark: {error}");
        std::process::exit(1);
    }
}

fn run(rounds: usize, only: Option<&str>) -> Outcome<()> {
    let directory = std::env::temp_dir().join(format!("keelson-bench-{}", std::process::id()));
    std::fs::create_dir(&directory).map_err(why("making a scratch directory"))?;
    let result = measure_all(directory.clone(), rounds, only);
    peers::let_go();
    std::fs::remove_dir_all(&directory).map_err(why("removing the scratch directory"))?;
    result
}

fn measure_all(directory: PathBuf, rounds: usize, only: Option<&str>) -> Outcome<()> {
    // Containers whose creator has ended are ours to wait for.
    keelson_runtime::sys::set_subreaper().map_err(why("becoming a subreaper"))?;
    bundle::make(&directory)?;
    let runtimes = commands::find(&directory)?;
    let bench = Bench {
        directory,
        rounds,
        runtimes,
    };
    machine::print(&bench);
    let tables: [(&str, fn(&Bench) -> Outcome<()>); 6] = [
        ("run", runs::measure),
        ("library", library::measure),
        ("exec", exec::measure),
        ("memory", memory::measure),
        ("shims", shims::measure),
        ("scale", scale::measure),
    ];
    for (title, measure) in tables {
        if only.is_none_or(|only| title.contains(only)) {
            measure(&bench)?;
        }
    }
    Ok(())
}
