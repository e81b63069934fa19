//! Sockets that systemd (or podman in its place) has opened for the container: sd_listen_fds(3).

use super::Error;

/// The variables of the protocol.
const VARIABLES: [&str; 3] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];
/// As many as a service manager passes at most.
const MAX: u32 = 1024;

/// Descriptors from 3 on that the container gets, with their names.
#[derive(Debug, Default)]
pub(super) struct Listen {
    pub count: u32,
    names: Option<String>,
}

impl Listen {
    /// What our own environment says. A process id that is not ours means that they are for somebody else.
    pub(super) fn from_environment() -> Result<Self, Error> {
        let [fds, pid, names] = VARIABLES.map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
        Self::new(fds.as_deref(), pid.as_deref(), names, std::process::id())
    }

    fn new(fds: Option<&str>, pid: Option<&str>, names: Option<String>, own: u32) -> Result<Self, Error> {
        let Some(fds) = fds.filter(|_| pid.is_none_or(|pid| pid == own.to_string())) else {
            return Ok(Self::default());
        };
        let count = fds.parse().ok().filter(|count| *count <= MAX);
        let count = count
            .ok_or_else(|| Error::Invalid(format!("LISTEN_FDS: {fds:.20?} is not a number up to {MAX}")))?;
        Ok(Self { count, names })
    }

    /// Puts the variables into the container's environment, whose first process has number 1.
    pub(super) fn tell(&self, env: &mut Vec<String>) {
        if self.count == 0 {
            return;
        }
        env.retain(|entry| !VARIABLES.iter().any(|name| entry.split('=').next() == Some(name)));
        env.push(format!("LISTEN_FDS={}", self.count));
        env.push("LISTEN_PID=1".to_owned());
        env.extend(self.names.iter().map(|names| format!("LISTEN_FDNAMES={names}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_us_or_for_another() {
        let count = |fds, pid| Listen::new(fds, pid, None, 42).map(|listen| listen.count).ok();
        assert_eq!(count(Some("2"), Some("42")), Some(2));
        assert_eq!(count(Some("2"), None), Some(2));
        assert_eq!(count(Some("2"), Some("43")), Some(0));
        assert_eq!(count(None, Some("42")), Some(0));
        for bad in ["-1", "x", "99999999999", "1025"] {
            assert_eq!(count(Some(bad), None), None, "{bad}");
        }
    }

    #[test]
    fn replaces_what_the_configuration_has() {
        let mut env = vec!["LISTEN_PID=7".to_owned(), "LISTEN_PIDX=1".to_owned()];
        Listen::default().tell(&mut env);
        assert_eq!(env.len(), 2);
        let listen = Listen::new(Some("1"), None, Some("http".to_owned()), 42).unwrap();
        listen.tell(&mut env);
        assert_eq!(
            env,
            [
                "LISTEN_PIDX=1",
                "LISTEN_FDS=1",
                "LISTEN_PID=1",
                "LISTEN_FDNAMES=http"
            ]
        );
    }
}
