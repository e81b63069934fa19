//! The command line, as runc's callers spell it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// An OCI runtime.
#[derive(Debug, Parser)]
#[command(name = "keelson runtime", version, disable_help_subcommand = true)]
pub(super) struct Arguments {
    /// Directory of the containers' state.
    #[arg(long, default_value = "/run/keelson-oci", value_name = "DIR")]
    pub root: PathBuf,
    /// File for error messages.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Format of that file.
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Read `cgroupsPath` as systemd's SLICE:PREFIX:NAME.
    #[arg(long)]
    pub systemd_cgroup: bool,
    /// Accepted for callers' sake; nothing more is logged.
    #[arg(long, hide = true)]
    pub debug: bool,
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
}

impl Global {
    /// Tells the caller of something that went wrong, and does not stop us.
    pub(super) fn warn(&self, message: &str) {
        let log = self.log.as_ref().and_then(|path| path.to_str());
        crate::shim::launcher::report(log, self.log_json, message);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
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
    Exec(ExecArgs),
    /// Show the processes of a container.
    Ps(PsArgs),
    /// List containers.
    List(ListArgs),
    /// Write a template of config.json.
    Spec {
        /// Directory to write it to.
        #[arg(short, long, value_name = "DIR")]
        bundle: Option<PathBuf>,
    },
    /// Show what this runtime supports, as JSON.
    Features,
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
    /// Do not wait for the container (run only).
    #[arg(short, long)]
    pub detach: bool,
    /// Accepted: no session keyring of the caller is passed on in any case.
    #[arg(long, hide = true)]
    pub no_new_keyring: bool,
    /// Accepted: the root is always changed by pivot_root.
    #[arg(long, hide = true)]
    pub no_pivot: bool,
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
    #[arg(default_value = "SIGTERM")]
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
    /// Capabilities to add, to the bounding, effective and permitted sets only.
    #[arg(short, long)]
    pub cap: Vec<String>,
    /// Set no-new-privileges.
    #[arg(long)]
    pub no_new_privs: bool,
    /// Do not wait for the process.
    #[arg(short, long)]
    pub detach: bool,
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
