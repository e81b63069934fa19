//! What a daemon does with the pages of its program between two pieces of work.
//!
//! A page of code that is touched brings fifteen neighbours into the process's memory, because the kernel maps 64 KB around
//! each fault from the page cache. Our code is spread over 35 MB, so that a control process which had done a little of
//! everything kept 25 MB of the program, two fifths of it touched, for as long as it ran.

use std::time::Duration;

use keelson_runtime::sys::release_program_pages;

/// How long pages stay after the work that touched them.
const PERIOD: Duration = Duration::from_secs(10);

/// KiB of files' pages that a daemon may keep: below this it is left alone, so that one with little to do does not map the
/// same pages again and again.
const KEPT: u64 = 16 << 10;

/// Takes the program's pages out of this process's memory whenever they have become many; what is in use is back at once.
///
/// By the clock, because there is no event to wait for: neither the kernel nor the event loop says that a piece of work was
/// the last for a while.
pub async fn release() {
    loop {
        tokio::time::sleep(PERIOD).await;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if file_pages(&status).is_some_and(|kib| kib <= KEPT) {
            continue;
        }
        if let Err(error) = release_program_pages() {
            tracing::debug!(%error, "the pages of the program stay in memory");
            return; // locked into memory by somebody: nothing that the next time would change
        }
    }
}

/// KiB of files' pages in a process's memory, by its status (proc_pid_status(5)).
fn file_pages(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssFile:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_of_files_are_counted() {
        let status =
            "VmRSS:\t   31580 kB\nRssAnon:\t    6244 kB\nRssFile:\t   25336 kB\nRssShmem:\t       0 kB\n";
        assert_eq!(file_pages(status), Some(25336));
        assert_eq!(file_pages("VmRSS:\t   31580 kB\n"), None);
        // And this kernel says it so.
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        assert!(file_pages(&status).unwrap() > 0);
    }
}
