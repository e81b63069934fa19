//! What the figures were taken on.

use std::fs;

use super::Bench;

fn first_line(path: &str, key: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text
        .lines()
        .find(|line| line.starts_with(key))
        .unwrap_or("unknown");
    line.split_once(':')
        .map_or(line, |(_, value)| value)
        .trim()
        .to_owned()
}

/// Prints it.
pub fn print(bench: &Bench) {
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = first_line("/proc/sys/kernel/osrelease", "");
    println!(
        "machine: {processors} x {}, Linux {kernel}",
        first_line("/proc/cpuinfo", "model name")
    );
    println!("memory: {}", first_line("/proc/meminfo", "MemTotal"));
    println!("load before: {}", first_line("/proc/loadavg", ""));
    for runtime in &bench.runtimes {
        println!(
            "subject: {} ({})",
            runtime.name,
            runtime.version().unwrap_or_else(|error| error)
        );
    }
}
