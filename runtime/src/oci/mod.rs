//! `keelson runtime`: the command line of an OCI runtime (runtime-spec `runtime.md`, and the options that containerd and
//! podman pass to runc). Thin: configurations are compiled by [`crate::plan`], processes made by the launcher
//! ([`crate::shim::launcher`]) that this process turns into.

mod arguments;
mod cgroups;
mod create;
mod delete;
mod events;
mod exec;
mod host_sysctls;
mod inspect;
mod install;
mod lifecycle;
mod listen;
mod options;
mod ps;
mod state;
mod template;
mod update;
mod user;

use std::ffi::OsString;
use std::io::Write;

use crate::shim::launcher::EXEC_FAILED;
use arguments::{CreateArgs, ExecArgs, GLOBAL, Global, KillArgs, PsArgs};
use options::{End, Found, Opt};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such container; in the words that containerd and podman look for.
    #[error("container does not exist: {0}")]
    NotFound(String),
    /// The command line is wrong.
    #[error("{0} (see --help)")]
    Usage(String),
    /// The container, or its configuration, does not allow this.
    #[error("{0}")]
    Invalid(String),
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    fn io<E: Into<std::io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Io {
            what,
            source: source.into(),
        }
    }
}

impl From<crate::plan::PlanError> for Error {
    fn from(error: crate::plan::PlanError) -> Self {
        Self::Invalid(error.0)
    }
}

impl From<crate::cgroup::Error> for Error {
    fn from(error: crate::cgroup::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// Prints a line. Whoever asked may have gone: that is no failure of ours.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

const USAGE: &str = "Usage: keelson runtime [GLOBAL OPTIONS] COMMAND [OPTIONS] ID

Commands: create run start state kill delete exec ps list pause resume update events spec features
install
COMMAND --help shows the options of a command.

Global options:
";

fn is_help(args: &[String], table: &'static [Opt], end: End) -> bool {
    args.iter().any(|arg| arg == "-h" || arg == "--help")
        && Found::parse(args, table, end).is_ok_and(|found| found.is("help"))
}

/// Runs `keelson runtime`: `args` are those after `runtime`. Returns the exit status; on `create`, `run` and `exec` it
/// becomes the launcher and does not return.
pub fn oci_main<I, T>(args: I) -> i32
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let text = |arg: T| {
        let not_text = |arg: OsString| Error::Usage(format!("argument {} is not UTF-8", arg.display()));
        arg.into().into_string().map_err(not_text)
    };
    let (mut log, mut is_exec) = ((None, false), false);
    let result = args
        .into_iter()
        .map(text)
        .collect::<Result<Vec<String>, Error>>()
        .and_then(|args| run(&args, &mut log, &mut is_exec));
    match result {
        Ok(()) => 0,
        Err(error) => {
            let (path, json) = log;
            crate::shim::launcher::report(path.as_deref(), json, &error.to_string());
            if is_exec { EXEC_FAILED } else { 1 }
        }
    }
}

/// `log` gets the caller's log, and whether it is JSON, as soon as it is known; `is_exec` whether the command is `exec`.
fn run(args: &[String], log: &mut (Option<String>, bool), is_exec: &mut bool) -> Result<(), Error> {
    let found = Found::parse(args, GLOBAL, End::First)?;
    *log = (found.text("log"), found.get("log-format") == Some("json"));
    if found.is("version") {
        // runc's form, which containerd and podman take apart.
        say(&format!(
            "keelson version {}\nspec: {}",
            env!("CARGO_PKG_VERSION"),
            crate::plan::OCI_VERSION
        ));
        return Ok(());
    }
    let Some((command, args)) = found.others.split_first().filter(|_| !found.is("help")) else {
        say(&format!("{USAGE}{}", options::help(GLOBAL)));
        return if found.is("help") {
            Ok(())
        } else {
            Err(Error::Usage("a command is needed".to_owned()))
        };
    };
    *is_exec = command == "exec";
    let global = Global {
        root: found.path("root").unwrap_or_else(user::default_root),
        log: found.path("log"),
        log_json: found.word("log-format", &["text", "json"])? == "json",
        systemd_cgroup: found.is("systemd-cgroup"),
        rootless: match found.word("rootless", &["auto", "true", "false"])?.as_str() {
            "auto" => user::rootless(),
            word => word == "true",
        },
    };
    dispatch(&global, command, args)
}

fn dispatch(global: &Global, command: &str, args: &[String]) -> Result<(), Error> {
    let (table, end) = match command {
        "create" | "run" => (arguments::CREATE, End::Open),
        "start" | "state" | "pause" | "resume" | "features" | "install" => (arguments::NONE, End::Open),
        "kill" => (arguments::KILL, End::Open),
        "delete" => (arguments::DELETE, End::Open),
        "exec" => (arguments::EXEC, End::First),
        "ps" => (arguments::PS, End::First),
        "list" => (arguments::LIST, End::Open),
        "update" => (update::UPDATE, End::Open),
        "events" => (arguments::EVENTS, End::Open),
        "spec" => (arguments::SPEC, End::Open),
        "checkpoint" | "restore" => {
            return Err(Error::Invalid(
                "checkpoint and restore are not supported".to_owned(),
            ));
        }
        _ => return Err(Error::Usage(format!("unknown command {command:?}"))),
    };
    if is_help(args, table, end) {
        say(options::help(table).trim_end());
        return Ok(());
    }
    let parsed = |end| Found::parse(args, table, end);
    match command {
        "create" => create::create(global, &CreateArgs::parse(args)?, false),
        "run" => create::create(global, &CreateArgs::parse(args)?, true),
        "start" => lifecycle::start(global, &parsed(end)?.id()?),
        "state" => inspect::state(global, &parsed(end)?.id()?),
        "kill" => lifecycle::kill(global, &KillArgs::parse(args)?),
        "delete" => {
            let found = parsed(end)?;
            let force = found.is("force");
            delete::delete(global, &found.id()?, force)
        }
        "pause" => lifecycle::freeze(global, &parsed(end)?.id()?, true),
        "resume" => lifecycle::freeze(global, &parsed(end)?.id()?, false),
        "exec" => exec::exec(global, &ExecArgs::parse(args)?),
        "ps" => ps::ps(global, &PsArgs::parse(args)?),
        "list" => inspect::list(global, args),
        "update" => update::update(global, args),
        "events" => events::events(global, args),
        "spec" => {
            let found = parsed(end)?;
            template::write(found.path("bundle").as_deref(), found.is("rootless"))
        }
        "install" => install::install(&parsed(end)?.others),
        // The only one that is left.
        _ => {
            say(&format!("{:#}", crate::plan::features(true)));
            Ok(())
        }
    }
}
