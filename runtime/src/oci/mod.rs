//! `keelson runtime`: the command line of an OCI runtime (runtime-spec `runtime.md`, and the options that containerd and
//! podman pass to runc). Thin: configurations are compiled by [`crate::plan`], processes made by the launcher
//! ([`crate::shim::launcher`]) that this process turns into.

mod arguments;
mod cgroups;
mod create;
mod exec;
mod inspect;
mod lifecycle;
mod state;
mod template;

use std::ffi::OsString;

use clap::Parser;

use arguments::{Arguments, Command};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such container.
    #[error("container {0:?} does not exist")]
    NotFound(String),
    /// The container, or the command line, does not allow this.
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
        Self::Io {
            what: error.what,
            source: error.source,
        }
    }
}

impl From<crate::node::Error> for Error {
    fn from(error: crate::node::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// Runs `keelson runtime`: `args` are those after `runtime`. Returns the exit status; on `create`, `run` and `exec` it
/// becomes the launcher and does not return.
pub fn oci_main<I, T>(args: I) -> i32
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let name = std::iter::once(OsString::from("keelson runtime"));
    let arguments = match Arguments::try_parse_from(name.chain(args.into_iter().map(Into::into))) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return error.exit_code();
        }
    };
    let log = arguments.log.clone();
    let json = arguments.log_format == arguments::LogFormat::Json;
    match run(arguments) {
        Ok(()) => 0,
        Err(error) => {
            let log = log.as_ref().and_then(|path| path.to_str());
            crate::shim::launcher::report(log, json, &error.to_string());
            1
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Error> {
    let global = arguments::Global {
        root: arguments.root,
        log: arguments.log,
        log_json: arguments.log_format == arguments::LogFormat::Json,
        systemd_cgroup: arguments.systemd_cgroup,
    };
    match arguments.command {
        Command::Create(args) => create::create(&global, &args, false),
        Command::Run(args) => create::create(&global, &args, true),
        Command::Start { id } => lifecycle::start(&global, &id),
        Command::State { id } => inspect::state(&global, &id),
        Command::Kill(args) => lifecycle::kill(&global, &args),
        Command::Delete { id, force } => lifecycle::delete(&global, &id, force),
        Command::Pause { id } => lifecycle::freeze(&global, &id, true),
        Command::Resume { id } => lifecycle::freeze(&global, &id, false),
        Command::Exec(args) => exec::exec(&global, &args),
        Command::Ps(args) => inspect::ps(&global, &args),
        Command::List(args) => inspect::list(&global, &args),
        Command::Spec { bundle } => template::write(bundle.as_deref()),
        Command::Features => {
            inspect::features();
            Ok(())
        }
    }
}
