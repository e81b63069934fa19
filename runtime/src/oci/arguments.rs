//! The command line, as runc's callers spell it.

use std::path::PathBuf;

use super::Error;
use super::options::{End, Found, Opt, flag, value};

/// What the global options come to.
#[derive(Debug)]
pub(super) struct Global {
    pub root: PathBuf,
    pub log: Option<PathBuf>,
    pub log_json: bool,
    pub systemd_cgroup: bool,
    pub rootless: bool,
}

impl Global {
    /// Tells the caller of something that went wrong, and does not stop us.
    pub(super) fn warn(&self, message: &str) {
        let log = self.log.as_ref().and_then(|path| path.to_str());
        crate::shim::launcher::log(log, self.log_json, "warning", message);
    }
}

pub(super) static GLOBAL: &[Opt] = &[
    value(
        "root",
        '\0',
        "DIR",
        "Directory of the containers' state [/run/keelson-oci, or below XDG_RUNTIME_DIR]",
    ),
    value("log", '\0', "FILE", "File for error messages"),
    value("log-format", '\0', "FORMAT", "Format of that file: text, json"),
    value("log-level", '\0', "LEVEL", ""),
    flag(
        "systemd-cgroup",
        '\0',
        "Let systemd make cgroups; cgroupsPath is SLICE:PREFIX:NAME",
    ),
    value(
        "rootless",
        '\0',
        "WHEN",
        "Do without cgroups that may not be made: auto, true, false",
    ),
    flag("debug", '\0', ""),
    value("criu", '\0', "FILE", ""),
    flag("version", 'v', "Show the version"),
    flag("help", 'h', "Show this"),
];

pub(super) static CREATE: &[Opt] = &[
    value("bundle", 'b', "DIR", "Bundle directory [.]"),
    value("pid-file", '\0', "FILE", "File for the process id"),
    value("console-socket", '\0', "SOCKET", "Socket that gets the terminal"),
    value(
        "pidfd-socket",
        '\0',
        "SOCKET",
        "Socket that gets a descriptor of the first process",
    ),
    flag("detach", 'd', "Do not wait for the container (run only)"),
    flag("keep", '\0', "Keep the container when it has ended (run only)"),
    value(
        "preserve-fds",
        '\0',
        "N",
        "Pass on this many descriptors, from 3 on",
    ),
    // No session keyring of the caller is passed on in any case, the root is always changed by pivot_root, and orphans
    // are the container's own business.
    flag("no-new-keyring", '\0', ""),
    flag("no-pivot", '\0', ""),
    flag("no-subreaper", '\0', ""),
    flag("help", 'h', "Show this"),
];

#[derive(Debug)]
pub(super) struct CreateArgs {
    pub bundle: PathBuf,
    pub pid_file: Option<PathBuf>,
    pub console_socket: Option<PathBuf>,
    pub pidfd_socket: Option<PathBuf>,
    pub detach: bool,
    pub keep: bool,
    pub preserve_fds: u32,
    pub id: String,
}

/// `--preserve-fds`, within what a process can have.
fn preserve_fds(found: &Found) -> Result<u32, Error> {
    const MOST: u32 = 1 << 20;
    match found.number("preserve-fds")?.unwrap_or(0) {
        n if n <= MOST => Ok(n),
        n => Err(Error::Usage(format!("--preserve-fds: {n} are too many"))),
    }
}

impl CreateArgs {
    pub(super) fn parse(args: &[String]) -> Result<Self, Error> {
        let found = Found::parse(args, CREATE, End::Open)?;
        Ok(Self {
            bundle: found.path("bundle").unwrap_or_else(|| ".".into()),
            pid_file: found.path("pid-file"),
            console_socket: found.path("console-socket"),
            pidfd_socket: found.path("pidfd-socket"),
            detach: found.is("detach"),
            keep: found.is("keep"),
            preserve_fds: preserve_fds(&found)?,
            id: found.id()?,
        })
    }
}

pub(super) static KILL: &[Opt] = &[
    flag("all", 'a', "To all its processes"),
    flag("help", 'h', "Show this"),
];

#[derive(Debug)]
pub(super) struct KillArgs {
    pub all: bool,
    pub id: String,
    pub signal: String,
}

impl KillArgs {
    pub(super) fn parse(args: &[String]) -> Result<Self, Error> {
        let found = Found::parse(args, KILL, End::Open)?;
        let all = found.is("all");
        let (id, signal) = match found.others.as_slice() {
            [id] => (id, "SIGTERM"),
            [id, signal] => (id, signal.as_str()),
            _ => {
                return Err(Error::Usage(
                    "a container id is needed, and may be followed by a signal".to_owned(),
                ));
            }
        };
        Ok(Self {
            all,
            id: id.clone(),
            signal: signal.to_owned(),
        })
    }
}

pub(super) static EXEC: &[Opt] = &[
    value(
        "process",
        'p',
        "FILE",
        "Process as JSON (OCI process), instead of a command",
    ),
    flag("tty", 't', "Allocate a terminal"),
    value("console-socket", '\0', "SOCKET", "Socket that gets the terminal"),
    value(
        "pidfd-socket",
        '\0',
        "SOCKET",
        "Socket that gets a descriptor of the process",
    ),
    value("pid-file", '\0', "FILE", "File for the process id"),
    value("cwd", '\0', "DIR", "Working directory"),
    value("env", 'e', "KEY=VALUE", "Environment, may be repeated"),
    value("user", 'u', "UID[:GID]", "User"),
    value(
        "additional-gids",
        'g',
        "GID",
        "Supplementary group, may be repeated",
    ),
    value(
        "cap",
        'c',
        "NAME",
        "Capability to add, may be repeated; never inheritable or ambient",
    ),
    flag("no-new-privs", '\0', "Set no-new-privileges"),
    value("apparmor", '\0', "PROFILE", "AppArmor profile"),
    value("process-label", '\0', "LABEL", "SELinux label"),
    flag("detach", 'd', "Do not wait for the process"),
    value(
        "preserve-fds",
        '\0',
        "N",
        "Pass on this many descriptors, from 3 on",
    ),
    value("cgroup", '\0', "PATH", "Cgroup below the container's"),
    flag(
        "ignore-paused",
        '\0',
        "Do not refuse a paused container: the process waits for its resumption",
    ),
    flag("no-subreaper", '\0', ""), // orphans are the container's own business
    flag("help", 'h', "Show this"),
];

#[derive(Debug)]
pub(super) struct ExecArgs {
    pub process: Option<PathBuf>,
    pub tty: bool,
    pub console_socket: Option<PathBuf>,
    pub pidfd_socket: Option<PathBuf>,
    pub pid_file: Option<PathBuf>,
    pub cwd: Option<PathBuf>,
    pub env: Vec<String>,
    pub user: Option<String>,
    pub additional_gids: Vec<String>,
    pub cap: Vec<String>,
    pub no_new_privs: bool,
    pub apparmor: Option<String>,
    pub process_label: Option<String>,
    pub detach: bool,
    pub preserve_fds: u32,
    pub cgroup: Vec<String>,
    pub ignore_paused: bool,
    pub id: String,
    pub command: Vec<String>,
}

impl ExecArgs {
    pub(super) fn parse(args: &[String]) -> Result<Self, Error> {
        let found = Found::parse(args, EXEC, End::First)?;
        let Some((id, command)) = found.others.split_first() else {
            return Err(Error::Usage("a container id is needed".to_owned()));
        };
        Ok(Self {
            process: found.path("process"),
            tty: found.is("tty"),
            console_socket: found.path("console-socket"),
            pidfd_socket: found.path("pidfd-socket"),
            pid_file: found.path("pid-file"),
            cwd: found.path("cwd"),
            env: found.all("env"),
            user: found.text("user"),
            additional_gids: found.all("additional-gids"),
            cap: found.all("cap"),
            no_new_privs: found.is("no-new-privs"),
            apparmor: found.text("apparmor"),
            process_label: found.text("process-label"),
            detach: found.is("detach"),
            preserve_fds: preserve_fds(&found)?,
            cgroup: found.all("cgroup"),
            ignore_paused: found.is("ignore-paused"),
            id: id.clone(),
            command: command.to_vec(),
        })
    }
}

pub(super) static PS: &[Opt] = &[
    value("format", 'f', "FORMAT", "table, json"),
    flag("help", 'h', "Show this"),
];

#[derive(Debug)]
pub(super) struct PsArgs {
    pub json: bool,
    pub id: String,
    /// Options of ps(1), instead of -ef.
    pub options: Vec<String>,
}

impl PsArgs {
    pub(super) fn parse(args: &[String]) -> Result<Self, Error> {
        let found = Found::parse(args, PS, End::First)?;
        let Some((id, options)) = found.others.split_first() else {
            return Err(Error::Usage("a container id is needed".to_owned()));
        };
        Ok(Self {
            json: found.word("format", &["table", "json"])? == "json",
            id: id.clone(),
            options: options.to_vec(),
        })
    }
}

pub(super) static LIST: &[Opt] = &[
    value("format", 'f', "FORMAT", "table, json"),
    flag("quiet", 'q', "Ids only"),
    flag("help", 'h', "Show this"),
];

pub(super) static DELETE: &[Opt] = &[
    flag("force", 'f', "Kill it first if it runs; absent is no error"),
    flag("help", 'h', "Show this"),
];

pub(super) static EVENTS: &[Opt] = &[
    value(
        "interval",
        '\0',
        "DURATION",
        "Time between two looks: 100ms, 1m30s [5s]",
    ),
    flag("stats", '\0', "One look only"),
    flag("help", 'h', "Show this"),
];

pub(super) static SPEC: &[Opt] = &[
    value("bundle", 'b', "DIR", "Directory to write config.json to [.]"),
    flag("rootless", '\0', "For a user without privileges"),
    flag("help", 'h', "Show this"),
];

pub(super) static NONE: &[Opt] = &[flag("help", 'h', "Show this")];
