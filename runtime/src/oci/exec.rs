//! `exec`.

use std::fs;

use oci_spec::runtime::{ContainerState, Process as OciProcess};

use super::Error;
use super::arguments::{ExecArgs, Global};
use super::create::{absolute_text, become_launcher, text};
use super::state::find;
use crate::plan::{capability_bit, oci_process, oci_state};
use crate::shim::launcher::LaunchRequest;

pub(super) fn exec(global: &Global, args: &ExecArgs) -> Result<(), Error> {
    let container = find(global, &args.id)?;
    let (Some((pid, started)), ContainerState::Running) = (container.init, container.status) else {
        return Err(Error::Invalid(format!(
            "cannot exec in a container in the {} state",
            container.status
        )));
    };
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
    for name in &args.cap {
        let bit =
            capability_bit(name).ok_or_else(|| Error::Invalid(format!("unknown capability {name:?}")))?;
        // Never inheritable or ambient: they would pass into programs that were not meant to have them.
        process.capabilities.bounding |= bit;
        process.capabilities.effective |= bit;
        process.capabilities.permitted |= bit;
    }
    if process.terminal != args.console_socket.is_some() {
        let which = if process.terminal {
            "a terminal needs"
        } else {
            "no terminal, but"
        };
        return Err(Error::Invalid(format!("{which} --console-socket")));
    }
    become_launcher(&LaunchRequest {
        plan: None,
        process: Some(process),
        init: pid,
        init_started: started,
        rootfs: String::new(),
        state: text(&container.directory)?,
        cgroup: container.stored.cgroup.as_deref().map(text).transpose()?,
        run: true,
        detach: args.detach,
        pid_file: absolute_text(args.pid_file.as_ref())?,
        console_socket: absolute_text(args.console_socket.as_ref())?,
        log: absolute_text(global.log.as_ref())?,
        log_json: global.log_json,
        preserve_fds: 0,
        oci_state: oci_state(spec, &container.stored.id, &container.stored.bundle),
    })
}

/// The container's own process, changed by the options.
fn from_options(mut process: OciProcess, args: &ExecArgs) -> Result<OciProcess, Error> {
    process.set_args(Some(args.command.clone()));
    process.set_terminal(Some(args.tty));
    if let Some(cwd) = &args.cwd {
        process.set_cwd(cwd.clone());
    }
    if args.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(args.env.iter().cloned());
    process.set_env(Some(env));
    if let Some(user) = &args.user {
        let (uid, gid) = user
            .split_once(':')
            .map_or((user.as_str(), None), |(uid, gid)| (uid, Some(gid)));
        let mut changed = process.user().clone();
        changed.set_uid(id(uid)?);
        changed.set_gid(gid.map_or(Ok(0), id)?);
        changed.set_additional_gids(None);
        process.set_user(changed);
    }
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
