//! `create` and `run`.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;

use super::Error;
use super::arguments::{CreateArgs, Global};
use super::cgroups::make_cgroup;
use super::state::{Stored, directory};
use crate::launch::CStringArray;
use crate::node::shim_client;
use crate::plan::{self, OciPaths};
use crate::shim::launcher::{LaunchRequest, NAME};
use crate::sys;
use crate::wire::Wire;

/// Largest `config.json` that is read.
const MAX_CONFIG: u64 = 16 << 20;

fn read_spec(bundle: &Path) -> Result<Spec, Error> {
    let path = bundle.join("config.json");
    let shown = path.display();
    let size = fs::metadata(&path)
        .map_err(Error::io(format!("reading {shown}")))?
        .len();
    if size > MAX_CONFIG {
        return Err(Error::Invalid(format!(
            "{shown} is larger than {MAX_CONFIG} bytes"
        )));
    }
    let text = fs::read(&path).map_err(Error::io(format!("reading {shown}")))?;
    let spec: Spec = serde_json::from_slice(&text).map_err(|e| Error::Invalid(format!("{shown}: {e}")))?;
    Ok(spec)
}

pub(super) fn text(path: &Path) -> Result<String, Error> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::Invalid(format!("path {} is not UTF-8", path.display())))
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(Error::io(format!("finding {}", path.display())))
}

pub(super) fn absolute_text(path: Option<&PathBuf>) -> Result<Option<String>, Error> {
    path.map(|path| text(&absolute(path)?)).transpose()
}

pub(super) fn create(global: &Global, args: &CreateArgs, run: bool) -> Result<(), Error> {
    let bundle = absolute(&args.bundle)?;
    let spec = read_spec(&bundle)?;
    let state = absolute(&directory(global, &args.id)?)?;
    let root = spec.root().as_ref().map(|root| bundle.join(root.path()));
    let root = root.ok_or_else(|| Error::Invalid("config.json has no root".to_owned()))?;
    let terminal = spec
        .process()
        .as_ref()
        .is_some_and(|p| p.terminal().unwrap_or(false));
    if terminal != args.console_socket.is_some() {
        let which = if terminal {
            "a terminal needs"
        } else {
            "no terminal, but"
        };
        return Err(Error::Invalid(format!("{which} --console-socket")));
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&global.root)
        .map_err(Error::io(format!("making {}", global.root.display())))?;
    match fs::DirBuilder::new().mode(0o700).create(&state) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Error::Invalid(format!(
                "container with id {:?} already exists",
                args.id
            )));
        }
        other => other.map_err(Error::io(format!("making {}", state.display())))?,
    }
    let mut cgroup = None;
    let result = prepare(global, args, &spec, (&bundle, &state, &root), run, &mut cgroup)
        .and_then(|request| become_launcher(&request));
    // Only after a failure: else this process is the launcher by now.
    let _ = fs::remove_dir_all(&state);
    if let Some(cgroup) = cgroup {
        let _ = fs::remove_dir(cgroup);
    }
    result
}

fn prepare(
    global: &Global,
    args: &CreateArgs,
    spec: &Spec,
    (bundle, state, root): (&Path, &Path, &Path),
    run: bool,
    made: &mut Option<PathBuf>,
) -> Result<LaunchRequest, Error> {
    let attach_point = state.join("rootfs");
    fs::create_dir(&attach_point).map_err(Error::io("making the attach point"))?;
    if !run {
        nix::unistd::mkfifo(
            &state.join("exec.fifo"),
            nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR,
        )
        .map_err(Error::io("making exec.fifo"))?;
    }
    *made = make_cgroup(global, &args.id, spec)?;
    let cgroup = made.as_deref().map(text).transpose()?;
    let paths = OciPaths {
        id: args.id.clone(),
        bundle: bundle.to_owned(),
        attach_point: text(&attach_point)?,
        cgroup: cgroup.clone(),
    };
    let plan = plan::oci(spec, paths)?;
    let now = crate::shim::protocol::timestamp();
    let stored = Stored {
        id: args.id.clone(),
        bundle: bundle.to_owned(),
        spec: spec.clone(),
        cgroup: made.clone(),
        created: now,
    };
    let json = serde_json::to_vec(&stored).map_err(|e| Error::Invalid(e.to_string()))?;
    fs::write(state.join("container.json"), json).map_err(Error::io("writing the state"))?;
    Ok(LaunchRequest {
        plan: Some(plan),
        process: None,
        init: 0,
        init_started: 0,
        rootfs: text(root)?,
        state: text(state)?,
        cgroup,
        run,
        detach: args.detach || !run,
        pid_file: absolute_text(args.pid_file.as_ref())?,
        console_socket: absolute_text(args.console_socket.as_ref())?,
        log: absolute_text(global.log.as_ref())?,
        log_json: global.log_json,
        preserve_fds: 0,
        oci_state: String::new(),
    })
}

/// Turns this process into the launcher. Returns only on failure.
pub(super) fn become_launcher(request: &LaunchRequest) -> Result<(), Error> {
    let program = shim_client::program()?;
    let message = sys::sealed_memory_file(c"keelson-launch", &request.to_bytes())
        .map_err(Error::io("making the launcher's request"))?;
    // The launcher opens it by its number: it must survive the exec, on a number that the container's process closes.
    let kept = nix::unistd::dup(message.as_fd()).map_err(Error::io("keeping the request"))?;
    let invalid = |e: crate::launch::SpawnError| Error::Invalid(e.message);
    let argv = CStringArray::new(&[NAME.to_owned(), kept.as_raw_fd().to_string()]).map_err(invalid)?;
    let envp = CStringArray::new(&[]).map_err(invalid)?;
    let errno = sys::execve_fd(program.as_fd(), argv.as_slice(), envp.as_slice());
    Err(Error::io("starting the launcher")(errno))
}
