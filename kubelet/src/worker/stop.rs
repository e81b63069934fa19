//! Stopping a container: preStop hook, stop signal, SIGKILL when its time is over.

use std::str::FromStr;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::ending::has_ended;
use super::message::Done;
use super::{Message, Worker, hook, read_message};
use crate::event::Kind;
use crate::pod::state::{Now, Step, Stopping};
use crate::spec::find;

/// What is left to a container after its preStop hook, whatever the hook took (upstream's
/// `minimumGracePeriodInSeconds`).
const AFTER_HOOK: Duration = Duration::from_secs(2);

impl Worker {
    pub(super) fn stop_container(&mut self, name: &str, grace: Duration, message: &str, now: Now) {
        self.event(Some(name), Kind::Normal, "Killing", message);
        let Some(id) = self.record(name).current.as_ref().map(|c| c.id.clone()) else {
            return;
        };
        let container = self.pod.spec.as_ref().and_then(|spec| find(spec, name));
        let handler = container.and_then(|(_, c)| c.lifecycle.clone()?.pre_stop);
        let Some(handler) = handler else {
            self.record(name).stopping = Some(Stopping {
                deadline: now.mono + grace,
                kill: Step::Pending,
            });
            self.signal(id);
            return;
        };
        self.record(name).stopping = Some(Stopping {
            deadline: now.mono + grace + AFTER_HOOK,
            kill: Step::Pending,
        });
        let run = hook::Hook::new(self, name, &id, handler);
        let (report, container) = (self.reporter(), name.to_owned());
        tokio::spawn(async move {
            let result = match tokio::time::timeout(grace + AFTER_HOOK / 4, run.run(Some(grace))).await {
                Ok(result) => result,
                Err(_) => Err("the grace period ended before the hook did".into()),
            };
            report(Done::PreStop {
                container,
                id,
                result,
            });
        });
    }

    pub(super) fn pre_stop_done(&mut self, name: &str, id: &str, result: Result<(), String>, now: Now) {
        let current = self.record(name).current.as_ref().is_some_and(|c| c.id == id);
        if !current || !self.record(name).running() {
            return;
        }
        if let Err(error) = result {
            self.event(Some(name), Kind::Warning, "FailedPreStopHook", &error);
        }
        if let Some(stopping) = &mut self.record(name).stopping {
            stopping.deadline = stopping
                .deadline
                .checked_sub(AFTER_HOOK)
                .unwrap_or(now.mono)
                .max(now.mono + AFTER_HOOK);
        }
        self.signal(id.to_owned());
    }

    /// Sends the container's stop signal.
    fn signal(&self, id: String) {
        let runtime = self.context.runtime.clone();
        tokio::task::spawn_blocking(move || {
            let named = runtime
                .container(&id)
                .ok()
                .flatten()
                .and_then(|state| state.spec.stop_signal);
            let signal = named
                .as_deref()
                .and_then(signal_number)
                .unwrap_or(Signal::SIGTERM as i32);
            if let Err(error) = runtime.signal(&id, signal) {
                tracing::warn!(id, %error, "stop signal not sent");
            }
        });
    }

    pub(super) fn force_kill(&mut self, name: &str) {
        let record = self.record(name);
        let Some(id) = record.current.as_ref().map(|c| c.id.clone()) else {
            return;
        };
        if let Some(stopping) = &mut record.stopping {
            stopping.kill = Step::Running;
        }
        let (report, inbox, container) = (self.reporter(), self.inbox.clone(), name.to_owned());
        let runtime = self.context.runtime.clone();
        tokio::task::spawn_blocking(move || {
            let error = match runtime.stop_container(&id, Duration::ZERO) {
                Ok(state) if has_ended(&state) => {
                    let text = read_message(&state);
                    // A worker that has ended does not want to know.
                    let _ = inbox.send(Message::Exited(Box::new(state), text));
                    return;
                }
                Ok(_) => "the container outlives SIGKILL".to_owned(),
                Err(error) => error.to_string(),
            };
            report(Done::NotKilled { container, id, error });
        });
    }

    /// What hindered it (no descriptors left, a shim that hangs) may pass.
    pub(super) fn not_killed(&mut self, name: &str, id: &str, error: &str, retry_at: Instant) {
        tracing::warn!(id, error, "container not killed");
        let record = self.record(name);
        if !record.running() || record.current.as_ref().is_none_or(|c| c.id != id) {
            return;
        }
        if let Some(stopping) = &mut record.stopping {
            stopping.kill = Step::Failed { retry_at };
        }
        let message = format!("error killing pod: {error}");
        self.event(Some(name), Kind::Warning, "FailedKillPod", &message);
    }
}

/// A signal as images name it: `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`.
fn signal_number(name: &str) -> Option<i32> {
    if let Ok(number) = name.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let name = name.to_uppercase();
    let full = if name.starts_with("SIG") {
        name
    } else {
        format!("SIG{name}")
    };
    if let Some(offset) = full.strip_prefix("SIGRTMIN") {
        let offset: i32 = if offset.is_empty() {
            0
        } else {
            offset.strip_prefix('+')?.parse().ok()?
        };
        return Some(libc::SIGRTMIN() + offset).filter(|n| *n <= 64);
    }
    Signal::from_str(&full).ok().map(|signal| signal as i32)
}

#[cfg(test)]
mod tests {
    use super::signal_number;

    #[test]
    fn signals_by_name_and_number() {
        assert_eq!(signal_number("SIGTERM"), Some(15));
        assert_eq!(signal_number("quit"), Some(3));
        assert_eq!(signal_number("9"), Some(9));
        assert_eq!(signal_number("SIGRTMIN+3"), Some(libc::SIGRTMIN() + 3));
        assert_eq!(signal_number("RTMIN"), Some(libc::SIGRTMIN()));
        for wrong in ["", "0", "65", "-1", "SIGNOPE", "SIGRTMIN+99", "SIGRTMIN-1"] {
            assert_eq!(signal_number(wrong), None, "{wrong}");
        }
    }
}
