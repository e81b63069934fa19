//! `kill -9` at every step of create, start and delete. The steps are enumerated: the command runs under ptrace, and is
//! killed at the entry of its first system call that changes anything, of its second, and so on to its last. Whatever it
//! left, a `delete --force` removes: the cgroup, the state directory, every process and mount.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::support::{Bench, is_ours};

/// System calls that change what is on the machine, by number: files, processes, mounts, locks, signals.
fn changes(number: i64, arguments: [u64; 4]) -> bool {
    const CREATES: u64 = (libc::O_CREAT | libc::O_TRUNC) as u64;
    match number {
        libc::SYS_open => arguments[1] & CREATES != 0,
        libc::SYS_openat => arguments[2] & CREATES != 0,
        libc::SYS_fcntl => arguments[1] == libc::F_SETLK as u64,
        libc::SYS_openat2
        | libc::SYS_write
        | libc::SYS_writev
        | libc::SYS_sendmsg
        | libc::SYS_sendto
        | libc::SYS_sendfile
        | libc::SYS_copy_file_range
        | libc::SYS_mkdir
        | libc::SYS_mkdirat
        | libc::SYS_mknod
        | libc::SYS_mknodat
        | libc::SYS_rename
        | libc::SYS_renameat
        | libc::SYS_renameat2
        | libc::SYS_unlink
        | libc::SYS_unlinkat
        | libc::SYS_rmdir
        | libc::SYS_chmod
        | libc::SYS_fchmodat
        | libc::SYS_chown
        | libc::SYS_fchownat
        | libc::SYS_clone
        | libc::SYS_clone3
        | libc::SYS_fork
        | libc::SYS_vfork
        | libc::SYS_execve
        | libc::SYS_execveat
        | libc::SYS_bpf
        | libc::SYS_open_tree
        | libc::SYS_move_mount
        | libc::SYS_mount_setattr
        | libc::SYS_mount
        | libc::SYS_umount2
        | libc::SYS_setns
        | libc::SYS_unshare
        | libc::SYS_kill
        | libc::SYS_pidfd_send_signal
        | libc::SYS_exit_group => true,
        _ => false,
    }
}

/// Runs a command and kills it at its `step`-th change. `None` when it ended before: it has fewer steps.
#[allow(clippy::zombie_processes)] // waited for by its number, as a tracer must
fn killed_at(mut command: Command, step: usize) -> Option<i64> {
    // Stops itself until we hold it.
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "kill -STOP $$; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap());
    command = shell;
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(child.id() as i32);
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert!(matches!(stopped, WaitStatus::Stopped(..)), "{stopped:?}");
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACEEXEC;
    ptrace::seize(pid, options).unwrap();
    kill(pid, Signal::SIGCONT).unwrap();
    let (mut seen, mut entry, mut in_command) = (0, true, false);
    loop {
        match waitpid(pid, None).unwrap() {
            WaitStatus::PtraceSyscall(_) => {
                let registers = ptrace::getregs(pid).unwrap();
                let number = registers.orig_rax as i64;
                let arguments = [registers.rdi, registers.rsi, registers.rdx, registers.r10];
                if entry && in_command && changes(number, arguments) {
                    seen += 1;
                    if seen == step {
                        kill(pid, Signal::SIGKILL).unwrap();
                        while !matches!(waitpid(pid, None), Ok(WaitStatus::Signaled(..)) | Err(_)) {}
                        return Some(number);
                    }
                }
                entry = !entry;
            }
            // The shell became the command; its call to exec comes back once more, at its exit.
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) => in_command = true,
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return None,
            WaitStatus::Stopped(_, signal) if signal != Signal::SIGSTOP && signal != Signal::SIGTRAP => {
                ptrace::syscall(pid, signal).unwrap();
                continue;
            }
            _ => {}
        }
        // It may have ended at this very moment: the next wait says so.
        let _ = ptrace::syscall(pid, None);
    }
}

/// Processes that have to do with the test's directory: in it, or with mounts of it.
fn processes_of(bench: &Bench) -> Vec<String> {
    let name = bench.directory.path().file_name().unwrap().to_str().unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let inside = fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd.starts_with(bench.directory.path()));
        let mounts = fs::read_to_string(path.join("mountinfo")).unwrap_or_default();
        if (inside || mounts.contains(name)) && pid != std::process::id() {
            let line = fs::read_to_string(path.join("cmdline")).unwrap_or_default();
            found.push(format!("{pid} {}", line.replace('\0', " ")));
        }
    }
    found
}

/// A forced deletion succeeds and leaves nothing.
fn assert_clean(bench: &Bench, what: &str) {
    let output = bench.command(&["delete", "--force", &bench.id]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {words}");
    let state = bench.path("state").join(&bench.id);
    assert!(!state.exists(), "{what}: state is left");
    let mount = keelson_runtime::cgroup::mount_point();
    let cgroup = mount.map(|mount| mount.join("keelson-test-oci").join(&bench.id));
    assert!(
        !cgroup.is_some_and(|path| path.exists()),
        "{what}: the cgroup is left"
    );
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let left = processes_of(bench);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: processes are left: {left:?}");
        std::thread::sleep(Duration::from_millis(5)); // the kernel ends them; nothing tells a stranger when
    }
}

/// Kills `args` at every step, each time after `before`.
fn enumerate(what: &str, args: &[&str], before: impl Fn(&Bench)) {
    if !is_ours() {
        return; // a peer's steps are its own
    }
    let bench = Bench::new(&["sleep", "1000"]);
    fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
    let bundle = bench.directory.path().to_str().unwrap().to_owned();
    let args: Vec<String> = args
        .iter()
        .map(|arg| arg.replace("BUNDLE", &bundle).replace("ID", &bench.id))
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut step = 1;
    loop {
        before(&bench);
        let mut command = bench.command(&args);
        command.current_dir(bench.directory.path());
        let killed = killed_at(command, step);
        assert_clean(&bench, &format!("{what}, step {step}, system call {killed:?}"));
        if killed.is_none() {
            break;
        }
        step += 1;
    }
    println!("{what}: {} steps", step - 1);
    assert!(step > 3, "too few steps to be true: {step}");
}

#[test]
fn killed_while_creating() {
    let args = ["create", "--bundle", "BUNDLE", "--pid-file", "BUNDLE/pid", "ID"];
    enumerate("create", &args, |_| {});
}

#[test]
fn killed_while_starting() {
    enumerate("start", &["start", "ID"], |bench| assert!(bench.create()));
}

#[test]
fn killed_while_deleting() {
    enumerate("delete", &["delete", "--force", "ID"], |bench| {
        assert!(bench.create());
        bench.ok(&["start", &bench.id]);
    });
}

#[test]
fn killed_while_running() {
    enumerate("run", &["run", "-d", "--bundle", "BUNDLE", "ID"], |_| {});
}

/// What a killed start leaves is told as it is.
#[test]
fn a_killed_start_is_told_truly() {
    if !is_ours() {
        return;
    }
    for step in 1.. {
        let bench = Bench::new(&["sleep", "1000"]);
        assert!(bench.create());
        let mut command = bench.command(&["start", &bench.id]);
        command.current_dir(bench.directory.path());
        let killed = killed_at(command, step);
        let pid = fs::read_to_string(bench.path("pid")).unwrap();
        // It may be on the way from the one to the other.
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let runs = fs::read_to_string(format!("/proc/{pid}/cmdline"))
                .unwrap_or_default()
                .contains("sleep");
            if bench.status() == if runs { "running" } else { "created" } {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "step {step}: {} and runs is {runs}",
                bench.status()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        if killed.is_none() {
            break;
        }
    }
}
