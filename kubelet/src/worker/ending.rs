//! The runtime's final word on a container that has ended.

use std::time::Duration;

use keelson_runtime::node::{ContainerState, NodeRuntime, Phase};

use super::{Message, read_message};

/// Pause before a record that could not be read (no descriptors or memory left, a bad disk) is read again; doubles.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// What its worker is to be told, and the UID of its pod. `None` if the runtime does not know it any more, or not as ended.
pub async fn last_word(runtime: &NodeRuntime, id: &str) -> Option<(String, Message)> {
    patiently(|| {
        let (runtime, id) = (runtime.clone(), id.to_owned());
        move || {
            let state = runtime.container(&id).inspect_err(|error| {
                tracing::warn!(id, %error, "state of an ended container");
            });
            Ok(state?.filter(has_ended).map(|state| {
                let text = read_message(&state);
                (state.sandbox.clone(), Message::Exited(Box::new(state), text))
            }))
        }
    })
    .await
}

/// Whether a container has ended, be it in an unknown way.
pub fn has_ended(state: &ContainerState) -> bool {
    matches!(state.phase, Phase::Exited { .. } | Phase::Unknown)
}

/// Asks until there is an answer: nobody announces an end twice.
async fn patiently<T, R>(question: impl Fn() -> R) -> Option<T>
where
    T: Send + 'static,
    R: FnOnce() -> Result<Option<T>, keelson_runtime::node::Error> + Send + 'static,
{
    let mut pause = FIRST_RETRY;
    loop {
        if let Ok(Ok(answer)) = tokio::task::spawn_blocking(question()).await {
            return answer;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_RETRY);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use keelson_runtime::node::Error;

    use super::*;

    #[tokio::test]
    async fn what_cannot_be_read_at_first_is_read_later() {
        for end in [Some("exited"), None] {
            let asked = Arc::new(AtomicU32::new(0));
            let answer = patiently(|| {
                let asked = asked.clone();
                move || match asked.fetch_add(1, Ordering::Relaxed) {
                    0 | 1 => Err(Error::Invalid("no descriptors are left".into())),
                    _ => Ok(end),
                }
            });
            assert_eq!(answer.await, end);
            assert_eq!(asked.load(Ordering::Relaxed), 3);
        }
    }
}
