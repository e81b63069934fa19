//! Waiting for something that the user would look at again and again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Calls `check` until it succeeds; its last error after `limit`.
pub fn eventually<T>(limit: Duration, mut check: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match check() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| format!("not within {} s", limit.as_secs()));
            }
            // A person at a terminal looks again; there is nothing to subscribe to from outside.
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}
