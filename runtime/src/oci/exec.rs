//! `exec`.

use std::fs;
use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::Process as OciProcess;

use super::Error;
use super::arguments::{ExecArgs, Global};
use super::create::{absolute_text, become_launcher, check_preserved, check_terminal, text};
use super::listen::Listen;
use super::state::{Container, Status, find};
use crate::plan::{capability_bit, oci_process, oci_state};
use crate::shim::launcher::LaunchRequest;

pub(super) fn exec(global: &Global, args: &ExecArgs) -> Result<(), Error> {
    let listen = Listen::from_environment()?;
    let preserve_fds = args.preserve_fds + listen.count;
    check_preserved(preserve_fds)?;
    let container = find(global, &args.id)?;
    let Some((pid, started)) = container.init else {
        return Err(Error::Invalid(format!(
            "cannot exec in a {} container: container not running",
            container.status
        )));
    };
    if container.status == Status::Paused && !args.ignore_paused {
        return Err(Error::Invalid(
            "cannot exec in a paused container (use --ignore-paused to override)".to_owned(),
        ));
    }
    let spec = &container.stored.spec;
    let base = spec
        .process()
        .clone()
        .ok_or_else(|| Error::Invalid("the container has no process".to_owned()))?;
    let process = match &args.process {
        Some(path) => {
            let shown = path.display();
            let json = fs::read(path).map_err(Error::io(format!("reading {shown}")))?;
            serde_json::from_slice(&json).map_err(|e| Error::Invalid(format!("{shown}: {e}")))?
        }
        None => from_options(base, args)?,
    };
    let mut process = oci_process(&process, spec.linux().as_ref())?;
    listen.tell(&mut process.env);
    for name in &args.cap {
        let bit =
            capability_bit(name).ok_or_else(|| Error::Invalid(format!("unknown capability {name:?}")))?;
        // Never inheritable or ambient: they would pass into programs that were not meant to have them.
        process.capabilities.bounding |= bit;
        process.capabilities.effective |= bit;
        process.capabilities.permitted |= bit;
    }
    check_terminal(process.terminal, args.detach, args.console_socket.is_some())?;
    let cgroup = cgroup(&container, pid, &args.cgroup)?;
    become_launcher(
        &LaunchRequest {
            plan: None,
            process: Some(process),
            init: pid,
            init_started: started,
            rootfs: String::new(),
            state: text(&container.directory)?,
            cgroup: cgroup.as_deref().map(text).transpose()?,
            cgroup_shared: true,
            cgroup_of_systemd: container.stored.unit.is_some(),
            placeholder: 0,
            run: true,
            keep: false,
            detach: args.detach,
            pid_file: absolute_text(args.pid_file.as_ref())?,
            console_socket: absolute_text(args.console_socket.as_ref())?,
            pidfd_socket: absolute_text(args.pidfd_socket.as_ref())?,
            log: absolute_text(global.log.as_ref())?,
            log_json: global.log_json,
            preserve_fds,
            oci_state: oci_state(spec, &container.stored.id, &container.stored.bundle),
        },
        None,
    )
}

/// The cgroup that the process is born in: the asked one below the container's; or the container's own; or, where that
/// has handed controllers down and can therefore have no processes itself, the one that the first process moved to.
fn cgroup(container: &Container, init: i32, asked: &[String]) -> Result<Option<PathBuf>, Error> {
    let Some(top) = &container.stored.cgroup else {
        return match asked {
            [] => Ok(None),
            _ => Err(Error::Invalid("the container has no cgroup".to_owned())),
        };
    };
    if let [path] = asked {
        let below = Path::new(path.trim_start_matches('/'));
        let plain = below
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let path = top.join(below);
        if !plain || !path.is_dir() {
            return Err(Error::Invalid(format!(
                "{} is no cgroup of the container",
                path.display()
            )));
        }
        return Ok(Some(path));
    }
    if !asked.is_empty() {
        return Err(Error::Invalid("cgroup v2 has one cgroup a process".to_owned()));
    }
    let handed_down = fs::read_to_string(top.join("cgroup.subtree_control")).unwrap_or_default();
    if handed_down.trim().is_empty() {
        return Ok(Some(top.clone()));
    }
    let of_init = fs::read_to_string(format!("/proc/{init}/cgroup")).unwrap_or_default();
    let path = of_init.lines().find_map(|line| line.strip_prefix("0::/"));
    let mount = crate::cgroup::mount_point();
    let path = mount.zip(path).map(|(mount, path)| mount.join(path));
    Ok(path.filter(|path| path.starts_with(top)).or(Some(top.clone())))
}

/// The container's own process, changed by the options.
fn from_options(mut process: OciProcess, args: &ExecArgs) -> Result<OciProcess, Error> {
    if args.command.is_empty() {
        return Err(Error::Invalid("process args cannot be empty".to_owned()));
    }
    process.set_args(Some(args.command.clone()));
    process.set_terminal(Some(args.tty));
    if let Some(cwd) = &args.cwd {
        process.set_cwd(cwd.clone());
    }
    if args.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    if let Some(profile) = &args.apparmor {
        process.set_apparmor_profile(Some(profile.clone()));
    }
    if let Some(label) = &args.process_label {
        process.set_selinux_label(Some(label.clone()));
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(args.env.iter().cloned());
    process.set_env(Some(env));
    let mut user = process.user().clone();
    if let Some(wanted) = &args.user {
        let (uid, gid) = wanted
            .split_once(':')
            .map_or((wanted.as_str(), None), |(uid, gid)| (uid, Some(gid)));
        // The groups stay those of the container's process, as in runc.
        user.set_uid(id(uid)?);
        if let Some(gid) = gid {
            user.set_gid(id(gid)?);
        }
    }
    if !args.additional_gids.is_empty() {
        let mut groups = user.additional_gids().clone().unwrap_or_default();
        for group in &args.additional_gids {
            groups.push(id(group)?);
        }
        user.set_additional_gids(Some(groups));
    }
    process.set_user(user);
    Ok(process)
}

/// An exact id, or an error; never a guess.
fn id(text: &str) -> Result<u32, Error> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = text
        .parse::<u32>()
        .ok()
        .filter(|n| digits && i32::try_from(*n).is_ok());
    number.ok_or_else(|| Error::Invalid(format!("invalid user or group id {text:?}")))
}
