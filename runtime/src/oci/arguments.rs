//! The command line, as runc's callers spell it.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::update::UpdateArgs;

/// An OCI runtime.
#[derive(Debug, Parser)]
#[command(
    name = "keelson runtime",
    disable_help_subcommand = true,
    disable_version_flag = true
)]
pub(super) struct Arguments {
    /// Directory of the containers' state [default: /run/keelson-oci, or below XDG_RUNTIME_DIR for users].
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// File for error messages.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Format of that file.
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Let systemd make cgroups; `cgroupsPath` is SLICE:PREFIX:NAME.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
        action = ArgAction::Set, value_name = "BOOL")]
    pub systemd_cgroup: bool,
    /// Do without cgroups that may not be made: true, false or auto.
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub rootless: Rootless,
    /// Accepted for callers' sake; nothing more is logged.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", action = ArgAction::Set)]
    pub debug: bool,
    /// Accepted: there is no checkpointing.
    #[arg(long, hide = true, value_name = "FILE")]
    pub criu: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Rootless {
    Auto,
    True,
    False,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a container; it waits to be started.
    Create(CreateArgs),
    /// Create a container, start it, and wait for its end unless detached.
    Run(CreateArgs),
    /// Run the program of a created container.
    Start {
        /// Container.
        id: String,
    },
    /// Show a container's state as JSON.
    State {
        /// Container.
        id: String,
    },
    /// Send a signal to a container's first process.
    Kill(KillArgs),
    /// Remove a stopped container.
    Delete {
        /// Container.
        id: String,
        /// Kill it first if it runs; absent is no error.
        #[arg(short, long)]
        force: bool,
    },
    /// Freeze all processes of a container.
    Pause {
        /// Container.
        id: String,
    },
    /// Let them go on.
    Resume {
        /// Container.
        id: String,
    },
    /// Run a process in a container.
    Exec(Box<ExecArgs>),
    /// Show the processes of a container.
    Ps(PsArgs),
    /// List containers.
    List(ListArgs),
    /// Change a container's limits.
    Update(Box<UpdateArgs>),
    /// Show what a container uses, again and again, and when it runs out of memory.
    Events(EventsArgs),
    /// Write a template of config.json.
    Spec {
        /// Directory to write it to.
        #[arg(short, long, value_name = "DIR")]
        bundle: Option<PathBuf>,
        /// For a user without privileges.
        #[arg(long)]
        rootless: bool,
    },
    /// Show what this runtime supports, as JSON.
    Features,
    /// Not supported.
    #[command(hide = true)]
    Checkpoint(Refused),
    /// Not supported.
    #[command(hide = true)]
    Restore(Refused),
}

#[derive(Debug, Args)]
pub(super) struct Refused {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub rest: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// Bundle directory.
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    pub bundle: PathBuf,
    /// File for the process id.
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Socket that gets the terminal.
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Socket that gets a descriptor of the first process.
    #[arg(long, value_name = "SOCKET")]
    pub pidfd_socket: Option<PathBuf>,
    /// Do not wait for the container (run only).
    #[arg(short, long)]
    pub detach: bool,
    /// Keep the container when it has ended (run only).
    #[arg(long)]
    pub keep: bool,
    /// Pass on this many descriptors, from 3 on.
    #[arg(long, default_value = "0", value_name = "N")]
    pub preserve_fds: u32,
    /// Accepted: no session keyring of the caller is passed on in any case.
    #[arg(long, hide = true)]
    pub no_new_keyring: bool,
    /// Accepted: the root is always changed by pivot_root.
    #[arg(long, hide = true)]
    pub no_pivot: bool,
    /// Accepted: orphans are the container's own business.
    #[arg(long, hide = true)]
    pub no_subreaper: bool,
    /// Container.
    pub id: String,
}

#[derive(Debug, Args)]
pub(super) struct KillArgs {
    /// To all its processes.
    #[arg(short, long)]
    pub all: bool,
    /// Container.
    pub id: String,
    /// Signal by name or number.
    #[arg(default_value = "SIGTERM", allow_hyphen_values = true)]
    pub signal: String,
}

#[derive(Debug, Args)]
pub(super) struct ExecArgs {
    /// Process as JSON (OCI `process`), instead of a command.
    #[arg(short, long, value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// Allocate a terminal.
    #[arg(short, long)]
    pub tty: bool,
    /// Socket that gets the terminal.
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Socket that gets a descriptor of the process.
    #[arg(long, value_name = "SOCKET")]
    pub pidfd_socket: Option<PathBuf>,
    /// File for the process id.
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Working directory.
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Environment, KEY=value.
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// UID[:GID].
    #[arg(short, long)]
    pub user: Option<String>,
    /// Supplementary group.
    #[arg(short = 'g', long, value_name = "GID")]
    pub additional_gids: Vec<String>,
    /// Capabilities to add, to the bounding, effective and permitted sets only.
    #[arg(short, long)]
    pub cap: Vec<String>,
    /// Set no-new-privileges.
    #[arg(long)]
    pub no_new_privs: bool,
    /// AppArmor profile.
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,
    /// SELinux label.
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,
    /// Do not wait for the process.
    #[arg(short, long)]
    pub detach: bool,
    /// Pass on this many descriptors, from 3 on.
    #[arg(long, default_value = "0", value_name = "N")]
    pub preserve_fds: u32,
    /// Cgroup below the container's.
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<String>,
    /// Do not refuse a paused container: the process waits for its resumption.
    #[arg(long)]
    pub ignore_paused: bool,
    /// Accepted: orphans are the container's own business.
    #[arg(long, hide = true)]
    pub no_subreaper: bool,
    /// Container.
    pub id: String,
    /// Command and arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct PsArgs {
    /// Format.
    #[arg(short, long, value_enum, default_value = "table")]
    pub format: Format,
    /// Container.
    pub id: String,
    /// Options of ps(1), instead of -ef.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub options: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Format.
    #[arg(short, long, value_enum, default_value = "table")]
    pub format: Format,
    /// Ids only.
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub(super) struct EventsArgs {
    /// Time between two looks: 5s, 100ms, 1m30s.
    #[arg(long, default_value = "5s", value_name = "DURATION")]
    pub interval: String,
    /// One look only.
    #[arg(long)]
    pub stats: bool,
    /// Container.
    pub id: String,
}
