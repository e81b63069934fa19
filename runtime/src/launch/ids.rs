//! User namespaces from the parent's side: writing id maps, and namespaces that exist only to map ids of mounts.

use std::fmt::Write as _;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;

use super::error::SpawnError;
use super::plan::{IdMap, IdRange, Namespaces};
use super::prepare::c_string;
use crate::sys::{self, CloneRequest, Errno};

/// Inode of the machine's first user namespace (`PROC_USER_INIT_INO`).
const FIRST: u64 = 0xefff_fffd;
/// `CAP_SETGID` and `CAP_SETUID`.
const SETGID: u64 = 1 << 6;
const SETUID: u64 = 1 << 7;

/// Whether this process is root of the machine's own user namespace, or of one below it.
pub(super) fn in_user_namespace() -> bool {
    sys::identity_of(c"/proc/self/ns/user").is_ok_and(|(_, inode)| inode != FIRST)
}

/// Whether this is the user namespace that we are in.
pub(super) fn is_own(namespace: &OwnedFd) -> bool {
    let own = sys::identity_of(c"/proc/self/ns/user");
    let other = sys::stat_fd(namespace.as_fd()).map(|stat| (stat.device, stat.inode));
    own.is_ok() && own == other
}

fn text(ranges: &[IdRange]) -> String {
    let mut text = String::new();
    for range in ranges {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{} {} {}", range.inside, range.outside, range.size);
    }
    text
}

fn failed(what: String) -> impl FnOnce(std::io::Error) -> SpawnError {
    move |e| SpawnError::new(what, Errno::from(e))
}

/// Gives the fresh user namespace of a process its ids. Whoever may set any id writes them himself; others are helped by
/// newuidmap and newgidmap (shadow-utils), or map nothing but themselves.
pub(super) fn write_maps(pid: i32, uids: &[IdRange], gids: &[IdRange]) -> Result<(), SpawnError> {
    let caps = sys::get_permitted().unwrap_or(0);
    if caps & SETUID != 0 && caps & SETGID != 0 {
        write_map(pid, "uid_map", uids)?;
        return write_map(pid, "gid_map", gids);
    }
    let alone = |ranges: &[IdRange], own: u32| matches!(ranges, [one] if one.size == 1 && one.outside == own);
    let (uid, gid) = sys::own_ids();
    if alone(uids, uid) {
        write_map(pid, "uid_map", uids)?;
    } else {
        helper("newuidmap", pid, uids)?;
    }
    if alone(gids, gid) {
        // The kernel's price for a map without privilege (user_namespaces(7)).
        let path = format!("/proc/{pid}/setgroups");
        fs::write(&path, "deny").map_err(failed(format!("writing {path}")))?;
        write_map(pid, "gid_map", gids)
    } else {
        helper("newgidmap", pid, gids)
    }
}

/// Whether this process may enter and make namespaces other than user namespaces.
fn is_privileged() -> bool {
    const SYS_ADMIN: u64 = 1 << 21;
    sys::get_permitted().is_ok_and(|caps| caps & SYS_ADMIN != 0)
}

/// For a caller without privileges: enters the user namespace of a container of his, where he has all. There is no way
/// back.
pub(super) fn join_without_privileges(init: BorrowedFd<'_>, init_pid: i32) -> Result<(), SpawnError> {
    if is_privileged() {
        return Ok(());
    }
    let of = |whose: &str| -> Result<_, SpawnError> {
        let path = c_string(&format!("/proc/{whose}/ns/user"))?;
        Ok(sys::identity_of(&path).ok())
    };
    if of("self")? == of(&init_pid.to_string())? {
        return Ok(());
    }
    sys::enter(init, libc::CLONE_NEWUSER)
        .map_err(|errno| SpawnError::new("entering the user namespace".to_owned(), errno))
}

/// For a caller without privileges, who could not even open the root filesystem as a mount: makes the container's user
/// namespace this process's own, with a mount namespace in it, and takes it off the plan. There is no way back.
pub fn become_container_root(namespaces: &mut Namespaces) -> Result<(), SpawnError> {
    let user = libc::CLONE_NEWUSER as u64;
    if namespaces.fresh & user == 0 || is_privileged() {
        return Ok(());
    }
    let errno = |errno| SpawnError::new("making the user namespace".to_owned(), errno);
    sys::set_dumpable(true).map_err(errno)?; // else our maps in /proc are root's
    let (begin, may_begin) = sys::pipe().map_err(errno)?;
    let (outcome, tell) = sys::pipe().map_err(errno)?;
    let pid = sys::own_pid();
    // Somebody outside has to write the maps. This process has one thread, so that its copy may allocate.
    let helper = sys::clone_process(&CloneRequest::default(), || {
        sys::close_in_child(may_begin.as_fd());
        if sys::read_fd(begin.as_fd(), &mut [0]) == Ok(1) {
            let words = match write_maps(pid, &namespaces.uid_map, &namespaces.gid_map) {
                Ok(()) => String::new(),
                Err(error) => error.message,
            };
            let _ = sys::write_fd(tell.as_fd(), format!("+{words}").as_bytes());
        }
    })
    .map_err(errno)?;
    drop(tell);
    sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).map_err(errno)?;
    sys::write_fd(may_begin.as_fd(), b"x").map_err(errno)?;
    let mut words = [0; 512];
    let n = sys::read_fd(outcome.as_fd(), &mut words).map_err(errno)?;
    let _ = sys::wait_pidfd(helper.pidfd.as_fd());
    if words[..n] != *b"+" {
        let words = String::from_utf8_lossy(words[..n].get(1..).unwrap_or_default()).into_owned();
        return Err(SpawnError {
            message: format!("mapping the ids of the user namespace: {words}"),
            errno: Errno(libc::EPERM),
            exit_code: 128,
        });
    }
    sys::set_uid_gid(0, 0).map_err(errno)?;
    sys::set_dumpable(false).map_err(errno)?;
    namespaces.fresh &= !user;
    namespaces.uid_map.clear();
    namespaces.gid_map.clear();
    Ok(())
}

fn write_map(pid: i32, file: &str, ranges: &[IdRange]) -> Result<(), SpawnError> {
    let path = format!("/proc/{pid}/{file}");
    let text = text(ranges);
    fs::write(&path, &text).map_err(failed(format!("writing {:?} to {path}", text.trim_end())))
}

fn helper(program: &str, pid: i32, ranges: &[IdRange]) -> Result<(), SpawnError> {
    let mut command = Command::new(program);
    command.arg(pid.to_string());
    for range in ranges {
        for number in [range.inside, range.outside, range.size] {
            command.arg(number.to_string());
        }
    }
    let output = command.output().map_err(failed(format!("running {program}")))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(SpawnError::new(
        format!("{program}: {}", words.trim()),
        Errno(libc::EPERM),
    ))
}

/// A user namespace with these ids, in which nobody lives.
fn namespace(uids: &[IdRange], gids: &[IdRange]) -> Result<OwnedFd, SpawnError> {
    let what = "making a user namespace for an id-mapped mount";
    let errno = |errno| SpawnError::new(what.to_owned(), errno);
    let (ours, theirs) = sys::pipe().map_err(errno)?;
    let request = CloneRequest {
        namespaces: libc::CLONE_NEWUSER as u64,
        ..CloneRequest::default()
    };
    let child = sys::clone_process(&request, || {
        sys::close_in_child(theirs.as_fd());
        let _ = sys::read_fd(ours.as_fd(), &mut [0]); // until the parent has what it wants
    })
    .map_err(errno)?;
    let made = write_map(child.pid, "uid_map", uids)
        .and_then(|()| write_map(child.pid, "gid_map", gids))
        .and_then(|()| {
            let path = format!("/proc/{}/ns/user", child.pid);
            let file = fs::File::open(&path).map_err(failed(format!("opening {path}")))?;
            Ok(OwnedFd::from(file))
        });
    drop(theirs);
    let _ = sys::wait_pidfd(child.pidfd.as_fd());
    made
}

/// The user namespaces that the id-mapped mounts of a container need, each made once.
#[derive(Debug, Default)]
pub(super) struct MountNamespaces {
    known: Vec<(Vec<IdRange>, Vec<IdRange>, OwnedFd)>,
    joined: Option<OwnedFd>,
}

impl MountNamespaces {
    /// The namespace for a mount of a container with these namespaces.
    pub(super) fn get(&mut self, map: &IdMap, container: &Namespaces) -> Result<&OwnedFd, SpawnError> {
        let (uids, gids) = if map.uids.is_empty() {
            (&container.uid_map, &container.gid_map)
        } else {
            (&map.uids, &map.gids)
        };
        if uids.is_empty() {
            let user = |(kind, _): &&(u64, String)| *kind == libc::CLONE_NEWUSER as u64;
            let Some((_, path)) = container.join.iter().find(user) else {
                return Err(SpawnError::new(
                    "an id-mapped mount without mappings".to_owned(),
                    Errno(libc::EINVAL),
                ));
            };
            let file = fs::File::open(path).map_err(failed(format!("opening namespace {path}")))?;
            return Ok(self.joined.insert(OwnedFd::from(file)));
        }
        let at = self.known.iter().position(|(u, g, _)| u == uids && g == gids);
        let at = if let Some(at) = at {
            at
        } else {
            let made = namespace(uids, gids)?;
            self.known.push((uids.clone(), gids.clone(), made));
            self.known.len() - 1
        };
        Ok(&self.known[at].2)
    }
}
