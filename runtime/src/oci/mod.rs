//! `keelson runtime`: the command line of an OCI runtime (runtime-spec `runtime.md`, and the options that containerd and
//! podman pass to runc). Thin: configurations are compiled by [`crate::plan`], processes made by the launcher
//! ([`crate::shim::launcher`]) that this process turns into.

mod arguments;
mod cgroups;
mod create;
mod delete;
mod events;
mod exec;
mod inspect;
mod lifecycle;
mod ps;
mod state;
mod template;
mod update;
mod user;

use std::ffi::OsString;

use clap::Parser;

use arguments::{Arguments, Command};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such container; in the words that containerd and podman look for.
    #[error("container does not exist: {0}")]
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
        Self::Invalid(error.to_string())
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
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    if args.first().is_some_and(|arg| arg == "--version" || arg == "-v") {
        // runc's form, which containerd and podman take apart.
        println!(
            "keelson version {}\nspec: {}",
            env!("CARGO_PKG_VERSION"),
            crate::plan::OCI_VERSION
        );
        return 0;
    }
    let name = std::iter::once(OsString::from("keelson runtime"));
    let arguments = match Arguments::try_parse_from(name.chain(args)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return i32::from(error.use_stderr()); // runc's status, not clap's
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
    let rootless = match arguments.rootless {
        arguments::Rootless::True => true,
        arguments::Rootless::False => false,
        arguments::Rootless::Auto => user::rootless(),
    };
    let global = arguments::Global {
        root: arguments.root.unwrap_or_else(user::default_root),
        log: arguments.log,
        log_json: arguments.log_format == arguments::LogFormat::Json,
        systemd_cgroup: arguments.systemd_cgroup,
        rootless,
    };
    match arguments.command {
        Command::Create(args) => create::create(&global, &args, false),
        Command::Run(args) => create::create(&global, &args, true),
        Command::Start { id } => lifecycle::start(&global, &id),
        Command::State { id } => inspect::state(&global, &id),
        Command::Kill(args) => lifecycle::kill(&global, &args),
        Command::Delete { id, force } => delete::delete(&global, &id, force),
        Command::Pause { id } => lifecycle::freeze(&global, &id, true),
        Command::Resume { id } => lifecycle::freeze(&global, &id, false),
        Command::Exec(args) => exec::exec(&global, &args),
        Command::Ps(args) => ps::ps(&global, &args),
        Command::List(args) => inspect::list(&global, &args),
        Command::Update(args) => update::update(&global, &args),
        Command::Events(args) => events::events(&global, &args),
        Command::Spec { bundle, rootless } => template::write(bundle.as_deref(), rootless),
        Command::Features => {
            println!("{:#}", crate::plan::features(true));
            Ok(())
        }
        Command::Checkpoint(_) | Command::Restore(_) => Err(Error::Invalid(
            "checkpoint and restore are not supported".to_owned(),
        )),
    }
}
