//! The child that becomes a container's first process. Allocates nothing.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::devices::{make_device, make_link};
use super::failure::{Failure, HookFailure, RecordKind, Step, Trouble, Words, at};
use super::hide::{hide, make_read_only};
use super::hooks::PreparedHooks;
use super::identity::{self, Allowed, Early};
use super::mounts::{attach, attach_root, make_directory};
use super::prepare::{PreparedContainer, PreparedNamespaces};
use super::spawn::{Gate, StandardStreams};
use super::terminal;
use crate::sys::{self, Attributes, Errno, SysResult};

/// The launch's side of what [`run`] needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub channel: BorrowedFd<'a>,
    pub streams: Option<&'a StandardStreams>,
    pub gate: &'a Gate,
}

/// Sets the container up, waits at the gate, execs. Returns, for the process to end, only after a failure, or when there is
/// nobody left to start it.
pub(super) fn run(container: &PreparedContainer, around: Surroundings<'_>) {
    let mut words = Words::new();
    let done = set_up(container, around, &mut words).and_then(|made| {
        close_others(container, around, &made)?;
        become_it(container, around, made, &mut words)
    });
    let Err(trouble) = done else { return };
    let kind = match trouble {
        Trouble::Step(failure) => RecordKind::Failed(failure),
        Trouble::Hook(failure) => RecordKind::HookFailed(failure),
    };
    // If nobody listens any more, there is nobody to tell.
    let _ = identity::report_with(around.channel, kind, words.as_bytes());
    if let Gate::Fifo(fifo) = around.gate {
        // Whoever starts us holds the other end, and reads this when we are gone.
        let _ = identity::report_with(fifo.as_fd(), kind, words.as_bytes());
    }
}

/// What [`set_up`] leaves for the end.
struct Made {
    allowed: Allowed,
    slave: Option<OwnedFd>,
}

/// Closes what the container is not to have. It waits at the gate as a process of its own, and what it held would be seen
/// behind its descriptors.
fn close_others(container: &PreparedContainer, around: Surroundings<'_>, made: &Made) -> Result<(), Failure> {
    let root = container.rootfs.as_fd();
    let fifo = match around.gate {
        Gate::Fifo(fifo) => fifo.as_fd(),
        Gate::Channel => around.channel,
    };
    let slave = made.slave.as_ref().map_or(around.channel, AsFd::as_fd);
    let mut kept = [around.channel, root, fifo, slave].map(|fd| fd.as_raw_fd());
    sys::close_all_but(3 + container.process.preserve_fds as i32, &mut kept).map_err(at(Step::Descriptors, 0))
}

/// Takes the terminal and the identity of the container's process, and waits; from the gate on to the program. Returns
/// only after a failure, or when there is nobody left to start it.
fn become_it(
    container: &PreparedContainer,
    around: Surroundings<'_>,
    made: Made,
    words: &mut Words,
) -> Result<(), Trouble> {
    let Surroundings { channel, gate, .. } = around;
    let process = &container.process;
    if let Some(slave) = made.slave {
        terminal::take_over(slave.as_fd()).map_err(at(Step::Console, 2))?;
    }
    let whole = matches!(gate, Gate::Fifo(_));
    // Who starts it later cannot be told of a program that is not there: whoever creates it must be.
    if whole {
        identity::find_program(process).map_err(at(Step::Exec, 0))?;
    }
    let assumed = identity::assume(process, container.rootfs.as_fd(), channel, made.allowed, true);
    // A kubelet, for which this is the start, hears of it then, as its users expect.
    if whole {
        assumed?;
    }
    // A filter that forbids even this would leave both sides waiting.
    identity::report(channel, RecordKind::Ready).map_err(at(Step::Gate, 0))?;
    if !wait_at(gate, channel).map_err(at(Step::Gate, 0))? {
        return Ok(());
    }
    assumed?;
    run_hooks(&container.start_hooks, true, "created", words)?;
    Err(at(Step::Exec, 0)(identity::exec(process)).into())
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
    around: Surroundings<'_>,
    words: &mut Words,
) -> Result<Made, Trouble> {
    let channel = around.channel;
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
        identity::report(channel, RecordKind::Hooks).map_err(at(Step::Hooks, 0))?;
        wait_for_parent(channel).map_err(at(Step::Hooks, 0))?;
    }
    sys::set_umask(0o022); // hooks are programs of the host, and make files there
    run_hooks(&container.create_hooks, false, "creating", words)?;
    hide(root, &container.masked)?;
    for (index, path) in container.read_only.iter().enumerate() {
        make_read_only(root, path).map_err(at(Step::ReadOnly, index))?;
    }
    change_root(container)?;
    if let Some(streams) = around.streams.filter(|_| slave.is_none()) {
        identity::connect(streams).map_err(at(Step::Descriptors, 0))?; // else the caller's own stay
    }
    let allowed = early.done(process)?;
    Ok(Made { allowed, slave })
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
