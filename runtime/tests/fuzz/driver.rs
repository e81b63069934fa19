//! The loop: takes an input of the corpus, changes it, and runs the target on it, within its time and memory.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::random::Random;

/// Longest that one input may take, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(10);
/// Address space that a target may take beyond what the process has: the bound on memory. An allocation that fails ends
/// the process.
const MEMORY: u64 = 1 << 30;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The inputs of a target's corpus, by name; a target whose inputs are made by code has no directory.
pub fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(name);
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        entries => entries.unwrap(),
    };
    let mut all: Vec<_> = entries
        .flatten()
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    all.sort();
    all
}

/// Bounds the address space of this process.
fn bound_memory() {
    let used = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = used.split_whitespace().next().unwrap().parse().unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
    setrlimit(Resource::RLIMIT_AS, (pages * 4096 + MEMORY).min(hard), hard).unwrap();
}

/// Runs `target` on the corpus and the seeds as they are, and then on what `mutate` makes of them. `target` returns whether
/// it took the input for good; `name` is that of the corpus. An input that panics or takes too long is kept, and fails the
/// test.
pub fn run<I>(
    name: &str,
    seeds: Vec<Vec<u8>>,
    parse: impl Fn(&[u8]) -> I,
    mutate: impl FnMut(&mut Random, &[I]) -> Vec<u8>,
    target: impl FnMut(&[u8]) -> bool,
) {
    let runs = run_slow(name, seeds, parse, mutate, target);
    assert!(runs > 50, "{runs} runs are no fuzzing");
}

/// The same for inputs so large that there are few of them; returns how many there were.
pub fn run_slow<I>(
    name: &str,
    seeds: Vec<Vec<u8>>,
    parse: impl Fn(&[u8]) -> I,
    mut mutate: impl FnMut(&mut Random, &[I]) -> Vec<u8>,
    mut target: impl FnMut(&[u8]) -> bool,
) -> u64 {
    let seconds = number("KEELSON_FUZZ_SECONDS").unwrap_or(3);
    let clock = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64;
    let seed = number("KEELSON_FUZZ_SEED").unwrap_or(clock);
    let mut corpus = corpus(name);
    corpus.extend(seeds.into_iter().map(|seed| (String::new(), seed)));
    assert!(!corpus.is_empty());
    let parsed: Vec<I> = corpus.iter().map(|(_, bytes)| parse(bytes)).collect();
    if let Some(directory) = std::env::var_os("KEELSON_FUZZ_SEEDS") {
        return hand_out(&Path::new(&directory).join(name), &corpus);
    }
    println!("{name}: seed {seed}, {} inputs in the corpus", corpus.len());
    bound_memory();
    let mut random = Random::new(seed);
    let (mut runs, mut good, mut slowest) = (0u64, 0u64, Duration::ZERO);
    let mut run_one = |input: &[u8]| {
        let begin = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| target(input)));
        let time = begin.elapsed();
        slowest = slowest.max(time);
        runs += 1;
        good += u64::from(matches!(result, Ok(true)));
        if result.is_err() || time > PATIENCE {
            let path = keep(name, input);
            panic!(
                "{name}: after {runs} runs an input breaks it ({time:?}); it is in {}",
                path.display()
            );
        }
    };
    for (_, input) in &corpus {
        run_one(input);
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        run_one(&mutate(&mut random, &parsed));
    }
    println!("{name}: {runs} runs, {good} inputs taken, the slowest in {slowest:?}");
    assert!(
        good > 0,
        "no input at all was taken: the target sees only refusals"
    );
    runs
}

/// Writes the corpus and the seeds for another fuzzer.
fn hand_out(directory: &Path, corpus: &[(String, Vec<u8>)]) -> u64 {
    fs::create_dir_all(directory).unwrap();
    for (number, (_, input)) in corpus.iter().enumerate() {
        fs::write(directory.join(format!("seed-{number}")), input).unwrap();
    }
    u64::MAX
}

fn keep(name: &str, input: &[u8]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join(format!("{name}-{}", std::process::id()));
    fs::write(&path, input).unwrap();
    path
}

/// The driver notices what it is there to notice.
#[test]
fn control() {
    let broken = |limit: usize| {
        catch_unwind(|| {
            run(
                "control",
                vec![b"an input".to_vec(), b"another one".to_vec()],
                <[u8]>::to_vec,
                |random, corpus| {
                    let mut data = random.pick(corpus).clone();
                    crate::random::bytes(random, &mut data, corpus);
                    data
                },
                |data| {
                    let high: usize = data.iter().map(|byte| usize::from(*byte == 0xff)).sum();
                    assert!(high < limit);
                    true
                },
            );
        })
    };
    assert!(broken(1).is_err(), "a target that breaks at a byte is found");
    assert!(broken(usize::MAX).is_ok());
}
