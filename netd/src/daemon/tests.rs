//! The daemon's end.

use super::*;
use crate::lab::{config, on_node};

#[test]
fn it_ends_with_the_proxys_thread() {
    on_node(|| async {
        let dir = tempfile::tempdir().unwrap();
        let mut daemon = Daemon::start(config(dir.path())).await.unwrap();
        // As after a panic.
        (_, daemon.proxy) = oneshot::channel();
        let limit = std::time::Duration::from_secs(30);
        let outcome = tokio::time::timeout(limit, Box::pin(daemon.run())).await;
        let error = outcome.expect("it goes on without the proxy").unwrap_err();
        assert_eq!(error.to_string(), "the proxy's thread has ended");
    });
}
