//! The child that becomes a container's first process. Allocates nothing.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::devices::{make_device, make_link};
use super::failure::{Failure, HookFailure, RecordKind, Step, Trouble, Words, at};
use super::hide::{hide, make_read_only};
use super::hooks::PreparedHooks;
use super::identity::{self, Early};
use super::mounts::{attach, attach_root, make_directory};
use super::prepare::{PreparedContainer, PreparedNamespaces};
use super::spawn::{Gate, StandardStreams};
use super::terminal;
use crate::sys::{self, Attributes, Errno, SysResult};

/// Sets the container up, waits at the gate, execs. Returns (for the process to end) only after a failure.
pub(super) fn run(
    container: &PreparedContainer,
    channel: BorrowedFd<'_>,
    streams: Option<&StandardStreams>,
    gate: &Gate,
) {
    let mut words = Words::new();
    let gone = match set_up(container, channel, streams, gate, &mut words) {
        Ok(early) => {
            identity::report(channel, RecordKind::Ready);
            match wait_at(gate, channel) {
                Ok(true) => finish(container, channel, &early, &mut words),
                Ok(false) => return, // nobody is left to start us
                Err(errno) => Err(at(Step::Gate, 0)(errno).into()),
            }
        }
        Err(trouble) => Err(trouble),
    };
    let Err(trouble) = gone else { return };
    let kind = match trouble {
        Trouble::Step(failure) => RecordKind::Failed(failure),
        Trouble::Hook(failure) => RecordKind::HookFailed(failure),
    };
    identity::report_with(channel, kind, words.as_bytes());
    if let Gate::Fifo(fifo) = gate {
        // Whoever starts us holds the other end, and reads this when we are gone.
        identity::report_to(fifo.as_fd(), kind, words.as_bytes());
    }
}

/// From the gate to the program. Returns only on failure.
fn finish(
    container: &PreparedContainer,
    channel: BorrowedFd<'_>,
    early: &Early,
    words: &mut Words,
) -> Result<(), Trouble> {
    let process = &container.process;
    if !listens(container) {
        identity::assume(process, container.rootfs.as_fd(), channel, early, true)?;
    }
    run_hooks(&container.start_hooks, true, "created", words)?;
    Err(at(Step::Exec, 0)(identity::exec(process)).into())
}

/// Whether a seccomp listener must be handed on, for which the parent has to be there: before the gate.
fn listens(container: &PreparedContainer) -> bool {
    let filter = container.process.seccomp.as_ref();
    filter.is_some_and(|filter| filter.listener.is_some())
}

fn run_hooks(hooks: &PreparedHooks, start: bool, status: &str, words: &mut Words) -> Result<(), Trouble> {
    hooks.run(status, sys::own_pid(), words).map_err(|failed| {
        Trouble::Hook(HookFailure {
            start,
            index: failed.index as u32,
            end: failed.end,
        })
    })
}

fn wait_at(gate: &Gate, channel: BorrowedFd<'_>) -> SysResult<bool> {
    match gate {
        Gate::Channel => sys::read_fd(channel, &mut [0; 2]).map(|n| n > 0),
        // Once the parent has noted us: without it, nobody would find us here. Then until somebody writes to it; it is
        // ours for writing as well, so that it never ends.
        Gate::Fifo(fifo) => {
            Ok(sys::read_fd(channel, &mut [0; 2])? > 0 && sys::read_fd(fifo.as_fd(), &mut [0; 1])? > 0)
        }
    }
}

/// Waits for the parent to have done something that we cannot.
fn wait_for_parent(channel: BorrowedFd<'_>) -> SysResult<()> {
    match sys::read_fd(channel, &mut [0; 2])? {
        0 => Err(Errno(libc::ECANCELED)),
        _ => Ok(()),
    }
}

fn set_up(
    container: &PreparedContainer,
    channel: BorrowedFd<'_>,
    streams: Option<&StandardStreams>,
    gate: &Gate,
    words: &mut Words,
) -> Result<Early, Trouble> {
    let root = container.rootfs.as_fd();
    let namespaces = &container.namespaces;
    let process = &container.process;
    sys::reset_signals().map_err(at(Step::Signals, 0))?;
    sys::become_session_leader().map_err(at(Step::Signals, 0))?;
    sys::new_session_keyring();
    sys::set_umask(0); // whatever is made has exactly the mode that is given
    let host = sys::open_path(c"/", libc::O_PATH | libc::O_DIRECTORY).map_err(at(Step::Propagation, 0))?;
    let host = host.as_fd();
    if namespaces.other_user && namespaces.join_user.is_none() {
        wait_for_parent(channel).map_err(at(Step::UserNamespace, 0))?; // for our ids
    }
    // With the rights of the user that we were: later, files of the host are out of reach.
    let early = Early::new(process, host, namespaces.in_user)?;
    enter_namespaces(namespaces, host)?;
    if namespaces.own_mounts {
        sys::make_tree_private().map_err(at(Step::Propagation, 0))?;
    }
    attach_root(root, &container.attach_point).map_err(at(Step::AttachRoot, 0))?;
    if namespaces.other_user {
        identity::become_root(&early).map_err(at(Step::UserNamespace, 1))?;
    }
    if namespaces.cgroup {
        sys::unshare(libc::CLONE_NEWCGROUP).map_err(at(Step::CgroupNamespace, 0))?;
    }
    for (index, mount) in container.mounts.iter().enumerate() {
        attach(root, host, mount, namespaces.in_user, words).map_err(at(Step::Mount, index))?;
    }
    for (index, device) in container.devices.iter().enumerate() {
        make_device(root, host, device).map_err(at(Step::Device, index))?;
    }
    for (index, (path, target)) in container.links.iter().enumerate() {
        make_link(root, path, target).map_err(at(Step::Link, index))?;
    }
    let slave = if process.terminal {
        let made = terminal::make(root, channel, process.uid, process.size);
        Some(made.map_err(at(Step::Console, 0))?)
    } else {
        None
    };
    if let Some(slave) = slave.as_ref().filter(|_| container.console) {
        terminal::bind_console(root, slave.as_fd()).map_err(at(Step::Console, 1))?;
    }
    set_names(container)?;
    for (index, (file, value)) in container.sysctls.iter().enumerate() {
        set_sysctl(host, file, value).map_err(at(Step::Sysctl, index))?;
    }
    if container.wait_for_hooks {
        identity::report(channel, RecordKind::Hooks);
        wait_for_parent(channel).map_err(at(Step::Hooks, 0))?;
    }
    sys::set_umask(0o022); // hooks are programs of the host, and make files there
    run_hooks(&container.create_hooks, false, "creating", words)?;
    hide(root, &container.masked)?;
    for (index, path) in container.read_only.iter().enumerate() {
        make_read_only(root, path).map_err(at(Step::ReadOnly, index))?;
    }
    change_root(container)?;
    match (&slave, streams) {
        (Some(slave), _) => terminal::take_over(slave.as_fd()).map_err(at(Step::Console, 2))?,
        (None, Some(streams)) => identity::connect(streams).map_err(at(Step::Descriptors, 0))?,
        (None, None) => {} // the caller's own streams stay
    }
    // Who starts it later cannot be told of a program that is not there: whoever creates it must be.
    if matches!(gate, Gate::Fifo(_)) {
        identity::find_program(process).map_err(at(Step::Exec, 0))?;
    }
    if listens(container) {
        identity::assume(process, root, channel, &early, true)?;
    }
    Ok(early)
}

/// Enters existing namespaces, and sets the clocks of a fresh time namespace before anybody is in it.
fn enter_namespaces(namespaces: &PreparedNamespaces, host: BorrowedFd<'_>) -> Result<(), Failure> {
    for (index, (kind, namespace)) in namespaces.join.iter().enumerate() {
        sys::enter(namespace.as_fd(), *kind).map_err(at(Step::Join, index))?;
    }
    let Some(offsets) = &namespaces.time else {
        return Ok(());
    };
    let make = || {
        sys::unshare(libc::CLONE_NEWTIME)?;
        if !offsets.is_empty() {
            let file = sys::open_at(host, c"proc/self/timens_offsets", libc::O_WRONLY, 0)?;
            sys::write_fd(file.as_fd(), offsets.to_bytes())?;
        }
        let made = sys::open_at(host, c"proc/self/ns/time_for_children", libc::O_RDONLY, 0)?;
        sys::enter(made.as_fd(), libc::CLONE_NEWTIME)
    };
    make().map_err(at(Step::TimeNamespace, 0))
}

fn set_names(container: &PreparedContainer) -> Result<(), Failure> {
    if let Some(hostname) = &container.hostname {
        sys::set_hostname(hostname).map_err(at(Step::Hostname, 0))?;
    }
    if let Some(domainname) = &container.domainname {
        sys::set_domainname(domainname).map_err(at(Step::Domainname, 0))?;
    }
    Ok(())
}

/// Through the host's procfs, whose sysctl files follow the namespaces of the process that opens them.
fn set_sysctl(host: BorrowedFd<'_>, file: &CStr, value: &CStr) -> SysResult<()> {
    let file: OwnedFd = sys::open_at(host, file, libc::O_WRONLY, 0)?;
    sys::write_fd(file.as_fd(), value.to_bytes()).map(|_| ())
}

fn change_root(container: &PreparedContainer) -> Result<(), Failure> {
    let root = container.rootfs.as_fd();
    if container.read_only_root {
        // What is missing cannot be made any more afterwards.
        make_directory(root, &container.process.cwd).map_err(at(Step::WorkingDirectory, 0))?;
        let attributes = Attributes {
            set: Attributes::READ_ONLY,
            ..Attributes::default()
        };
        sys::mount_set_attributes(root, attributes, false).map_err(at(Step::ReadOnlyRoot, 0))?;
    }
    if container.namespaces.own_mounts {
        sys::pivot_into(root).map_err(at(Step::Pivot, 0))?;
    } else {
        sys::change_root(root).map_err(at(Step::Pivot, 0))?;
    }
    let propagation = container.root_propagation;
    let attributes = Attributes {
        propagation: propagation & !libc::MS_REC,
        ..Attributes::default()
    };
    // Only now: a shared root cannot be pivoted into.
    sys::mount_set_attributes(root, attributes, propagation & libc::MS_REC != 0)
        .map_err(at(Step::RootPropagation, 0))
}
