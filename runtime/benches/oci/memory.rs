//! Peak memory of each command.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use keelson_runtime::launch::CStringArray;
use keelson_runtime::sys::{self, CloneRequest};
use nix::sys::resource::{UsageWho, getrusage};

use super::commands::Runtime;
use super::peers::Hidden;
use super::{Bench, Outcome, bundle, why};

/// The largest resident set, in KiB, that the kernel saw of a program and its children that it waited for. By a process
/// between, whose other children are none.
fn peak(runtime: &Runtime, args: &[&str]) -> Outcome<i64> {
    let _there = runtime.hidden.as_ref().map(Hidden::enter).transpose()?;
    let args = runtime.full(args);
    let program = std::ffi::CString::new(which(&args[0])?).map_err(why("program"))?;
    let argv = CStringArray::new(&args).map_err(|e| e.message)?;
    let environment: Vec<String> = runtime
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={}", value.to_string_lossy()))
        .collect();
    let envp = CStringArray::new(&environment).map_err(|e| e.message)?;
    let (read, write): (OwnedFd, OwnedFd) = sys::pipe().map_err(why("a pipe"))?;
    let null = File::options()
        .write(true)
        .open("/dev/null")
        .map_err(why("/dev/null"))?;
    let plain = CloneRequest::default();
    let between = sys::clone_process(&plain, || {
        let child = sys::clone_process(&plain, || {
            let _ = sys::duplicate_to(null.as_fd(), 1); // what it says does not matter here
            sys::execve(&program, argv.as_slice(), envp.as_slice());
        });
        let done = child.and_then(|child| sys::wait_pidfd(child.pidfd.as_fd()));
        if let (Ok(sys::Exit::Code(0)), Ok(usage)) = (done, getrusage(UsageWho::RUSAGE_CHILDREN)) {
            let _ = sys::write_fd(write.as_fd(), &usage.max_rss().to_ne_bytes());
        }
        sys::exit_now(0);
    })
    .map_err(why("clone"))?;
    drop(write);
    let mut bytes = [0; 8];
    let n = sys::read_fd(read.as_fd(), &mut bytes).map_err(why("reading"))?;
    sys::wait_pidfd(between.pidfd.as_fd()).map_err(why("waiting"))?;
    if n == 8 {
        Ok(i64::from_ne_bytes(bytes))
    } else {
        Err("the command failed".to_owned())
    }
}

fn which(program: &str) -> Outcome<String> {
    if program.contains('/') {
        return Ok(program.to_owned());
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path
        .split(':')
        .map(|dir| format!("{dir}/{program}"))
        .find(|p| std::path::Path::new(p).exists());
    found.ok_or_else(|| format!("{program} not found"))
}

/// Prints the table.
pub fn measure(bench: &Bench) -> Outcome<()> {
    let brief = bundle::brief(&bench.directory);
    let lasting = bundle::lasting(&bench.directory);
    let (brief, lasting) = (brief.to_string_lossy(), lasting.to_string_lossy());
    println!("\npeak memory of a command (ru_maxrss, KiB)\n");
    println!("| | run | create | start | state | exec | kill | delete |\n|---|---|---|---|---|---|---|---|");
    for runtime in &bench.runtimes {
        let id = "memory";
        let mut line = format!("| {} |", runtime.name);
        for args in [
            &["run", "--bundle", &brief, id][..],
            &["create", "--bundle", &lasting, id],
            &["start", id],
            &["state", id],
            &["exec", id, "/bin/true"],
            &["kill", id, "KILL"],
            &["delete", "--force", id],
        ] {
            line += &match peak(runtime, args) {
                Ok(kib) => format!(" {kib} |"),
                Err(error) => format!(" {error} |"),
            };
        }
        println!("{line}");
    }
    Ok(())
}
