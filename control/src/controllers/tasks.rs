//! Tasks whose death must not go unseen.

use std::convert::Infallible;

use tokio::task::JoinSet;

/// Waits until a task of the set panics, and passes the panic on, which in the end is the end of the process: its supervisor
/// starts it again. Without an informer, those that wait for what it tells would wait for ever and everything else would
/// look well; and what its handlers had not yet heard when it died, only a new start tells them.
///
/// Tasks may end in order, or be aborted, and others may be added to the set between two calls.
pub async fn died(tasks: &mut JoinSet<()>) -> Infallible {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(%error, "a task has panicked, and the process ends");
            std::panic::resume_unwind(error.into_panic());
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_passed_on_whatever_has_ended_before() {
        let mut tasks = JoinSet::new();
        tasks.spawn(std::future::ready(()));
        tasks.spawn(std::future::pending()).abort();
        assert!(died(&mut tasks).now_or_never().is_none());
        tokio::task::yield_now().await;
        assert!(died(&mut tasks).now_or_never().is_none() && tasks.is_empty());
        tasks.spawn(async { panic!("a bug") });
        let panic = AssertUnwindSafe(died(&mut tasks)).catch_unwind().await;
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"a bug"));
    }
}
