//! What Prometheus' clients tell of every process, from `/proc`.

use std::fmt::Write;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};

/// Ticks of a second in what the kernel tells programs, on every architecture that this runs on.
const TICKS: f64 = 100.0;

/// Writes the `process_` series. What the kernel does not tell is left out.
pub fn write(out: &mut String) {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{name}")).unwrap_or_default();
    let mut one = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            // Writing into a String cannot fail.
            let _ = write!(
                out,
                "# HELP process_{name} {help}\n# TYPE process_{name} {kind}\nprocess_{name} {value}\n"
            );
        }
    };
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
    let seconds = usage.map(|usage| {
        [usage.user_time(), usage.system_time()]
            .iter()
            .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
            .sum::<f64>()
    });
    one(
        "cpu_seconds_total",
        "counter",
        "Total user and system CPU time spent in seconds.",
        seconds,
    );
    let most = getrlimit(Resource::RLIMIT_NOFILE)
        .ok()
        .map(|(soft, _)| soft as f64);
    one(
        "max_fds",
        "gauge",
        "Maximum number of open file descriptors.",
        most,
    );
    // Reading the folder opens one more.
    let open = std::fs::read_dir("/proc/self/fd")
        .ok()
        .map(|all| all.count() as f64 - 1.0);
    one("open_fds", "gauge", "Number of open file descriptors.", open);
    let status = read("self/status");
    let memory = |name| number_after(&status, name).map(|kilobytes| kilobytes * 1024.0);
    one(
        "resident_memory_bytes",
        "gauge",
        "Resident memory size in bytes.",
        memory("VmRSS:"),
    );
    one(
        "virtual_memory_bytes",
        "gauge",
        "Virtual memory size in bytes.",
        memory("VmSize:"),
    );
    let booted = number_after(&read("stat"), "btime");
    let started = booted
        .zip(started(&read("self/stat")))
        .map(|(boot, after)| boot + after);
    let help = "Start time of the process since unix epoch in seconds.";
    one("start_time_seconds", "gauge", help, started);
}

/// The number behind the first word of a line.
fn number_after(text: &str, word: &str) -> Option<f64> {
    let mut lines = text.lines();
    let rest = lines.find_map(|line| line.strip_prefix(word))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// When the process of `/proc/PID/stat` was started, in seconds after the boot (proc(5): field 22, counted behind the
/// name, which may hold anything).
fn started(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: f64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    Some(ticks / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_processes_are_not_mistaken_for_fields() {
        let stat = "7 (a) R (b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1250 99 1";
        assert_eq!(started(stat), Some(12.5));
    }

    #[test]
    fn the_kernel_tells_all_of_it() {
        let mut out = String::new();
        write(&mut out);
        for name in [
            "cpu_seconds_total",
            "max_fds",
            "open_fds",
            "resident_memory_bytes",
            "virtual_memory_bytes",
            "start_time_seconds",
        ] {
            let value = number_after(&out, &format!("process_{name} "));
            assert!(value.is_some_and(|value| value > 0.0), "{name}: {out}");
        }
    }
}
