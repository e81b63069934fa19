//! The event loop of a daemon.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::Builder;

/// Runs a daemon to its end, which does not wait for blocking calls that are still under way: the pull of an image, or a
/// call into a file system that does not answer, would keep a daemon alive that has given up, and nobody would start it
/// again. What they leave is what they leave when a daemon is killed. Tasks of the event loop are dropped before this
/// returns; the control plane's store, which has a thread of its own, ends with the last of them.
///
/// One thread for the event loop; blocking system calls have a small pool. Two cores' worth of work never justified a
/// thread per core here, and each costs memory.
pub fn run<T>(daemon: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(64)
        .thread_keep_alive(Duration::from_secs(5))
        .thread_stack_size(512 << 10)
        .build()
        .context("starting the event loop")?;
    // A panic is an end as well, and dropping the runtime would wait.
    let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(daemon)));
    runtime.shutdown_background();
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Runs a daemon that ends with `end` while a blocking call is under way, which never ends.
    fn end_beside_a_call(end: fn() -> Result<()>) -> std::thread::Result<Result<()>> {
        let (_release, held) = mpsc::channel::<()>();
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let daemon = async {
                let (begin, begun) = tokio::sync::oneshot::channel();
                tokio::task::spawn_blocking(move || {
                    let _ = begin.send(());
                    let _ = held.recv();
                });
                begun.await?;
                end()
            };
            let _ = done.send(catch_unwind(AssertUnwindSafe(|| run(daemon))));
        });
        // Only so that the test fails instead of standing still.
        ended
            .recv_timeout(Duration::from_secs(30))
            .expect("it waits for the blocking call")
    }

    #[test]
    fn a_daemon_ends_while_a_blocking_call_is_under_way() {
        assert!(end_beside_a_call(|| Ok(())).unwrap().is_ok());
        let error = end_beside_a_call(|| anyhow::bail!("the port is taken"))
            .unwrap()
            .unwrap_err();
        assert_eq!(error.to_string(), "the port is taken");
        assert!(end_beside_a_call(|| panic!("a fault")).is_err());
    }

    /// What the control plane's store relies on: its last handle may be a task's.
    #[test]
    fn tasks_are_dropped_before_it_returns() {
        let (kept, gone) = mpsc::channel::<()>();
        run(async {
            tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(kept);
            });
            Ok(())
        })
        .unwrap();
        assert_eq!(gone.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }
}
