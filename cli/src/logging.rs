//! Log lines on stderr. `KEELSON_LOG` filters them (`info`, `debug`, `keelson_netd=trace`, ...).

use tracing_subscriber::EnvFilter;

/// Installs the subscriber of this process.
pub fn init() {
    let filter = EnvFilter::try_from_env("KEELSON_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // A second call (tests) finds a subscriber in place, which is fine.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}
