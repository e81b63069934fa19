//! Command-line runtimes, and how a caller drives them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use keelson_runtime::sys::{self, Exit};

use super::peers::{self, Hidden};
use super::{Outcome, why};

/// One of them.
pub struct Runtime {
    /// What it is, with its version.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// What comes before the command.
    pub options: Vec<OsString>,
    /// Set for the program.
    pub environment: Vec<(String, OsString)>,
    /// The mount namespace that it runs in, if not this one.
    pub hidden: Option<Hidden>,
}

impl Runtime {
    pub fn new(name: &str, program: impl Into<PathBuf>, options: &[&str], root: &Path) -> Self {
        let mut options: Vec<OsString> = options.iter().map(Into::into).collect();
        options.extend(["--root".into(), root.as_os_str().to_owned()]);
        Self {
            name: name.to_owned(),
            program: program.into(),
            options,
            environment: Vec::new(),
            hidden: None,
        }
    }

    /// The command, not started.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.options)
            .args(args)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end; for one that leaves a container behind, `quiet`, with no pipe that it could hold open.
    fn call(&self, args: &[&str]) -> Outcome<()> {
        let _there = self.hidden.as_ref().map(Hidden::enter).transpose()?;
        let status: ExitStatus = self.command(args).status().map_err(why(&self.name))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("{} {}: {status}", self.name, args.join(" ")))
        }
    }

    /// What it answers to `--version`, first line.
    pub fn version(&self) -> Outcome<String> {
        let output = self.command(&["--version"]).output().map_err(why(&self.name))?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }

    /// `run`, to the end of the container.
    pub fn run(&self, bundle: &Path, id: &str) -> Outcome<()> {
        self.call(&["run", "--bundle", text(bundle), id])
    }

    /// `run --detach`.
    pub fn run_detached(&self, bundle: &Path, id: &str) -> Outcome<()> {
        self.call(&["run", "--detach", "--bundle", text(bundle), id])
    }

    /// `exec`, to the end of `true`.
    pub fn exec(&self, id: &str) -> Outcome<()> {
        self.call(&["exec", id, "/bin/true"])
    }

    /// `delete --force`.
    pub fn remove(&self, id: &str) -> Outcome<()> {
        self.call(&["delete", "--force", id])
    }

    /// `create`, `start`, the wait that containerd and podman do, `delete`.
    pub fn life(&self, bundle: &Path, id: &str, directory: &Path) -> Outcome<()> {
        let file = directory.join("pid");
        self.call(&["create", "--bundle", text(bundle), "--pid-file", text(&file), id])?;
        let pid = fs::read_to_string(&file).map_err(why("reading the pid file"))?;
        let pid = pid.trim().parse().map_err(why("reading the pid file"))?;
        let handle = sys::pidfd_open(pid).map_err(why("opening the container's process"))?;
        self.call(&["start", id])?;
        match sys::wait_pidfd(handle.as_fd()).map_err(why("waiting"))? {
            Exit::Code(0) => self.call(&["delete", id]),
            exit => Err(format!("{}: the container ended with {exit:?}", self.name)),
        }
    }

    /// Arguments of `run` and `exec`, for whoever starts the program in another way.
    pub fn full(&self, args: &[&str]) -> Vec<String> {
        let program = std::iter::once(self.program.as_os_str());
        let options = self.options.iter().map(OsString::as_os_str);
        let args = args.iter().map(std::ffi::OsStr::new);
        let all = program.chain(options).chain(args);
        all.map(|arg| arg.to_string_lossy().into_owned()).collect()
    }
}

/// Paths of this benchmark are UTF-8: it makes them.
fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

/// All that are there; what is missing is said.
pub fn find(directory: &Path) -> Outcome<Vec<Runtime>> {
    let mut runtimes = Vec::new();
    // The static program, as `make build` leaves it for callers that want a runtime by path.
    let own = directory.join("keelson-oci");
    let status = Command::new(env!("CARGO_BIN_EXE_keelson-oci"))
        .arg("install")
        .arg(&own)
        .status();
    if !status.map_err(why("keelson-oci install"))?.success() {
        return Err("keelson-oci install failed".to_owned());
    }
    runtimes.push(Runtime::new(
        "keelson-oci",
        &own,
        &[],
        &directory.join("keelson-oci.state"),
    ));
    match std::env::var_os("KEELSON_BIN") {
        Some(path) if File::open(&path).is_ok() => {
            let root = directory.join("keelson.state");
            runtimes.push(Runtime::new("keelson runtime", path, &["runtime"], &root));
        }
        _ => println!("missing: the whole binary (KEELSON_BIN)"),
    }
    peers::find(directory, &mut runtimes)?;
    Ok(runtimes)
}
