//! Importing an image of several layers and many files: this store beside podman and containerd, taking turns in one run.
//!
//! `cargo run --release -p keelson-runtime --example images [ROUNDS]` as root. Peers that are not installed are left out.
//! Time is from the command's start to its end, peak memory that of the process that unpacks (for containerd: the
//! daemon). Each import goes into an empty store; dirty pages are written out before it, so that nobody pays for another.

mod archive;
mod peers;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use keelson_runtime::image::ImageStore;
use peers::{Containerd, Peer, Podman};

/// What one import took.
#[derive(Debug, Clone, Copy)]
struct Cost {
    time: Duration,
    /// Bytes.
    memory: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    // A process of its own for each import, so that its peak memory is its own.
    if let [_, flag, archive, store] = &arguments[..]
        && flag == "--import"
    {
        ImageStore::open(Path::new(store))
            .and_then(|store| store.import(Path::new(archive), "bench:1"))
            .expect("import");
        return ExitCode::SUCCESS;
    }
    let rounds = arguments
        .get(1)
        .map_or(5, |text| text.parse().expect("ROUNDS is a number"));
    let directory = tempfile::tempdir().expect("a temporary directory");
    for shape in [archive::SMALL_FILES, archive::LARGE_FILES] {
        compare(directory.path(), &shape, rounds);
    }
    ExitCode::SUCCESS
}

fn compare(directory: &Path, shape: &archive::Shape, rounds: usize) {
    let path = directory.join("image.tar");
    let size = archive::write(&path, shape);
    println!(
        "\n{}: {} layers, {} files, {} MB unpacked, {} MB archive, {} rounds",
        shape.name,
        shape.layers,
        shape.layers * shape.files,
        (shape.layers * shape.files * shape.bytes) >> 20,
        size >> 20,
        rounds
    );
    let mut peers: Vec<Box<dyn Peer>> = Vec::new();
    if peers::installed("podman") {
        peers.push(Box::new(Podman));
    }
    if peers::installed("containerd") && peers::installed("ctr") {
        peers.push(Box::new(Containerd::start(&directory.join("containerd"))));
    }
    let mut ours = Vec::new();
    let mut theirs: Vec<Vec<Cost>> = vec![Vec::new(); peers.len()];
    for round in 0..rounds {
        ours.push(own(directory, &path, round));
        for (peer, costs) in peers.iter_mut().zip(&mut theirs) {
            settle();
            let store = directory.join(format!("peer{round}"));
            std::fs::create_dir(&store).expect("a directory for a peer");
            costs.push(peer.import(&path, &store));
            peer.clear(&store);
        }
    }
    let own = report("keelson", &ours, None);
    for (peer, costs) in peers.iter().zip(&theirs) {
        report(peer.name(), costs, Some(own));
    }
}

fn own(directory: &Path, archive: &Path, round: usize) -> Cost {
    settle();
    let store = directory.join(format!("own{round}"));
    let program = std::env::current_exe().expect("our own path");
    let mut command = Command::new(program);
    command.arg("--import").arg(archive).arg(&store);
    let cost = peers::measure(&mut command);
    std::fs::remove_dir_all(store).expect("removing a store");
    cost
}

/// Nothing left to write.
fn settle() {
    nix::unistd::sync();
}

/// Prints medians, and how ours compare. Returns the medians.
fn report(name: &str, costs: &[Cost], own: Option<Cost>) -> Cost {
    let median = |values: &mut Vec<u64>| {
        values.sort_unstable();
        values[values.len() / 2]
    };
    let mut times: Vec<u64> = costs.iter().map(|cost| cost.time.as_micros() as u64).collect();
    let mut memory: Vec<u64> = costs.iter().map(|cost| cost.memory).collect();
    let found = Cost {
        time: Duration::from_micros(median(&mut times)),
        memory: median(&mut memory),
    };
    let ratio = own.map_or(String::new(), |own| {
        format!(
            "   keelson takes {:.2} of the time, {:.2} of the memory",
            own.time.as_secs_f64() / found.time.as_secs_f64(),
            own.memory as f64 / found.memory as f64
        )
    });
    println!(
        "{name:<11} {:>7.0} ms (from {:.0} to {:.0}), peak {:>6.1} MB{ratio}",
        found.time.as_secs_f64() * 1e3,
        times[0] as f64 / 1e3,
        times[times.len() - 1] as f64 / 1e3,
        found.memory as f64 / 1e6
    );
    found
}

/// Times something.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}
