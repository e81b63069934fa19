//! `keelson up --detach`: the same supervisor in a session of its own, which reports over its standard output once.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::args::Up;
use crate::preflight;

/// The one line that means success.
const READY: &str = "ready";

/// Starts the supervisor and waits for its report.
pub fn start(args: &Up) -> Result<()> {
    preflight::root()?;
    let dir = crate::cluster::create_dir(&args.cluster.data_dir)?;
    let logs = dir.join("logs");
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(&logs)
        .with_context(|| format!("creating {}", logs.display()))?;
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(logs.join("up.log"))?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("up")
        .arg("--report")
        .arg("--data-dir")
        .arg(&dir)
        .process_group(0);
    if let Some(path) = &args.kubeconfig {
        command.arg("--kubeconfig").arg(path);
    }
    if let Some(listen) = args.listen {
        command.arg("--listen").arg(listen.to_string());
    }
    if let Some(ip) = args.node_ip {
        command.arg("--node-ip").arg(ip.to_string());
    }
    if let Some(name) = &args.node_name {
        command.arg("--node-name").arg(name);
    }
    command.args(args.etcd.arguments());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("starting the supervisor")?;
    let mut report = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout)
            .read_line(&mut report)
            .context("reading the supervisor's report")?;
    }
    match report.trim_end() {
        READY => {
            if let Err(missing) = preflight::cgroup_limits() {
                eprintln!("warning: pods run without CPU and memory limits: {missing:#}");
            }
            let cluster = crate::cluster::Cluster::require(&dir)?;
            println!(
                "The cluster is ready: {}\n  export KUBECONFIG={}",
                cluster.server_url(),
                cluster.kubeconfig.display()
            );
            Ok(())
        }
        "" => bail!(
            "the supervisor ended without a report ({}); see {}",
            child.wait()?,
            logs.join("up.log").display()
        ),
        reason => bail!("{reason}\n(logs: {})", logs.display()),
    }
}

/// Leaves the caller's session, so that closing its terminal does not end the cluster.
pub fn become_daemon() -> Result<()> {
    // EPERM: already the leader of a session.
    match nix::unistd::setsid() {
        Ok(_) | Err(nix::errno::Errno::EPERM) => Ok(()),
        Err(errno) => Err(errno).context("setsid"),
    }
}

/// Tells the waiting command that the cluster is ready.
pub fn ready() {
    say(READY);
}

/// Tells the waiting command why the start failed. After success nobody reads any more, which is fine.
pub fn report(result: &Result<()>) {
    if let Err(error) = result {
        say(&format!("{error:#}").replace('\n', " "));
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
