//! `create` and `run`.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxDeviceType, LinuxResources, Spec};

use super::Error;
use super::arguments::{CreateArgs, Global};
use super::state::{Stored, directory};
use crate::launch::CStringArray;
use crate::node::{Resources, cgroup, shim_client};
use crate::plan::{self, DeviceRule, OciPaths, default_device_rules, device_filter};
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

/// Directory of a container's cgroup below the hierarchy's root: `cgroupsPath`, systemd's form turned into a path.
fn cgroup_path(global: &Global, id: &str, path: Option<&Path>) -> Result<PathBuf, Error> {
    let Some(path) = path.and_then(Path::to_str).filter(|path| !path.is_empty()) else {
        return Ok(Path::new("keelson-oci").join(id));
    };
    let parts: Vec<&str> = path.split(':').collect();
    let path = match (global.systemd_cgroup, parts.as_slice()) {
        (true, [slice, prefix, name]) => {
            let slice = if slice.is_empty() { "system.slice" } else { slice };
            PathBuf::from(slice).join(format!("{prefix}-{name}.scope"))
        }
        _ => PathBuf::from(path.trim_start_matches('/')),
    };
    let plain = path
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    if plain {
        Ok(path)
    } else {
        Err(Error::Invalid(format!("invalid cgroupsPath {}", path.display())))
    }
}

/// Makes the container's cgroup, with its limits where the host's controllers allow them and its device rules.
fn make_cgroup(global: &Global, id: &str, spec: &Spec) -> Result<Option<PathBuf>, Error> {
    let Some(hierarchy) = cgroup::hierarchy() else {
        return Ok(None);
    };
    let linux = spec.linux().as_ref();
    let path = hierarchy.join(cgroup_path(
        global,
        id,
        linux.and_then(|l| l.cgroups_path().as_deref()),
    )?);
    fs::create_dir_all(&path).map_err(Error::io(format!("making cgroup {}", path.display())))?;
    let Some(resources) = linux.and_then(|l| l.resources().as_ref()) else {
        return Ok(Some(path));
    };
    for (file, value) in cgroup::limit_files(&limits(resources)) {
        let file = path.join(file);
        // A controller that this host lacks, or has not turned on: the limit cannot be, and its absence is said.
        if file.exists() {
            fs::write(&file, &value).map_err(Error::io(format!("writing {value} to {}", file.display())))?;
        }
    }
    if let Some(rules) = device_rules(resources) {
        cgroup::filter_devices(&path, &device_filter(&rules))?;
    }
    Ok(Some(path))
}

fn limits(resources: &LinuxResources) -> Resources {
    let cpu = resources.cpu().as_ref();
    Resources {
        cpu_shares: cpu.and_then(oci_spec::runtime::LinuxCpu::shares),
        cpu_quota: cpu.and_then(oci_spec::runtime::LinuxCpu::quota),
        cpu_period: cpu.and_then(oci_spec::runtime::LinuxCpu::period),
        memory_limit: resources
            .memory()
            .as_ref()
            .and_then(oci_spec::runtime::LinuxMemory::limit),
        pids_limit: resources.pids().as_ref().map(oci_spec::runtime::LinuxPids::limit),
        ..Resources::default()
    }
}

/// The allow-list that a list of rules comes to: `None` when everything is allowed. As in runc, a rule that denies
/// everything begins the list; single denials are not expressible and left to that.
fn device_rules(resources: &LinuxResources) -> Option<Vec<DeviceRule>> {
    let mut rules = default_device_rules();
    let mut restricted = false;
    for rule in resources.devices().iter().flatten() {
        let kind = rule.typ().unwrap_or(LinuxDeviceType::A);
        let number = |n: Option<i64>| n.and_then(|n| u32::try_from(n).ok());
        match (rule.allow(), kind) {
            (true, LinuxDeviceType::A) => return None,
            (false, LinuxDeviceType::A) => restricted = true,
            (true, kind) => {
                let access = rule.access().as_deref().unwrap_or("rwm");
                let block = kind == LinuxDeviceType::B;
                rules.push(DeviceRule::new(
                    block,
                    number(rule.major()),
                    number(rule.minor()),
                    access,
                ));
            }
            (false, _) => {}
        }
    }
    restricted.then_some(rules)
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
