//! The real kubectl, as a user runs it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Longest that one command may take; a hang is a failure with a name.
const LIMIT: Duration = Duration::from_mins(2);

/// What a command left.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// kubectl with a kubeconfig and a namespace.
#[derive(Debug, Clone)]
pub struct Kubectl {
    binary: PathBuf,
    kubeconfig: PathBuf,
    namespace: String,
    environment: Vec<(String, String)>,
}

impl Kubectl {
    /// A kubectl for a cluster; `default` namespace.
    pub fn new(binary: &Path, kubeconfig: &Path) -> Self {
        Self {
            binary: binary.into(),
            kubeconfig: kubeconfig.into(),
            namespace: "default".into(),
            environment: Vec::new(),
        }
    }

    /// The same with a variable in its environment, which is how kubectl's feature gates are set.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.environment.push((name.to_owned(), value.to_owned()));
        other
    }

    /// The same in another namespace.
    #[must_use]
    pub fn namespace(&self, namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            ..self.clone()
        }
    }

    /// Another kubectl version for the same cluster.
    #[must_use]
    pub fn binary(&self, binary: &Path) -> Self {
        Self {
            binary: binary.to_owned(),
            ..self.clone()
        }
    }

    /// The namespace in use.
    pub fn current_namespace(&self) -> &str {
        &self.namespace
    }

    /// The command line, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .env("KUBECONFIG", &self.kubeconfig)
            // A cache of discovery in $HOME would hide what this server says.
            .env("KUBECACHEDIR", self.kubeconfig.with_extension("cache"))
            .envs(self.environment.iter().cloned())
            .arg("--namespace")
            .arg(&self.namespace)
            .args(args);
        command
    }

    /// Runs to the end, whatever the exit code.
    pub fn run(&self, args: &[&str]) -> Result<Output> {
        self.run_with_input(args, "")
    }

    /// Runs to the end with text on standard input.
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Result<Output> {
        run_to_end(self.command(args), input.as_bytes())
            .with_context(|| format!("kubectl {}", args.join(" ")))
    }

    /// Runs and demands exit code 0; returns standard output.
    pub fn ok(&self, args: &[&str]) -> Result<String> {
        self.ok_with_input(args, "")
    }

    /// Like [`Self::ok`], with text on standard input.
    pub fn ok_with_input(&self, args: &[&str], input: &str) -> Result<String> {
        let output = self.run_with_input(args, input)?;
        ensure!(
            output.code == 0,
            "kubectl {} exited with {}\nstdout: {}\nstderr: {}",
            args.join(" "),
            output.code,
            output.stdout,
            output.stderr
        );
        Ok(output.stdout)
    }

    /// Runs and demands failure; returns standard error.
    pub fn fails(&self, args: &[&str]) -> Result<String> {
        let output = self.run(args)?;
        ensure!(
            output.code != 0,
            "kubectl {} should fail but printed: {}",
            args.join(" "),
            output.stdout
        );
        Ok(output.stderr)
    }

    /// `get ... -o json`, decoded.
    pub fn json(&self, args: &[&str]) -> Result<serde_json::Value> {
        let text = self.ok(&[args, &["-o", "json"]].concat())?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Starts a command that goes on (port-forward, proxy, `-w`, `logs -f`).
    pub fn start(&self, args: &[&str]) -> Result<Running> {
        Running::start(self.command(args)).with_context(|| format!("kubectl {}", args.join(" ")))
    }
}

/// A command in the background, killed on drop. Its output lines are collected.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (sender, lines) = mpsc::channel();
        let streams: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().context("stdout")?),
            Box::new(child.stderr.take().context("stderr")?),
        ];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                BufReader::new(stream)
                    .lines()
                    .map_while(Result::ok)
                    .try_for_each(|line| sender.send(line))
            });
        }
        Ok(Self {
            child,
            lines,
            seen: Vec::new(),
        })
    }

    /// The first line, seen already or to come, that contains `text`.
    pub fn line(&mut self, text: &str, limit: Duration) -> Result<String> {
        if let Some(line) = self.seen.iter().find(|line| line.contains(text)) {
            return Ok(line.clone());
        }
        let deadline = Instant::now() + limit;
        while let Ok(line) = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.seen.push(line.clone());
            if line.contains(text) {
                return Ok(line);
            }
        }
        bail!(
            "no line with {text:?} within {} s; seen: {:?}",
            limit.as_secs(),
            self.seen
        )
    }

    /// Writes to its standard input.
    pub fn write(&mut self, text: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("stdin is closed")?;
        stdin.write_all(text.as_bytes())?;
        Ok(stdin.flush()?)
    }

    /// Everything seen so far.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Whether it is still running.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end within two minutes, without deadlock on full pipes.
pub fn run_to_end(mut command: Command, input: &[u8]) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    let mut stdin = child.stdin.take().context("stdin")?;
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(LIMIT) else {
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)?;
        bail!("did not end within {} s", LIMIT.as_secs())
    };
    let output = output?;
    // A command that does not read its input closes the pipe, which is its right.
    let _ = writer.join();
    Ok(Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The kubectl of a version such as `1.32`, beside the one on PATH; or, with an empty version, `$KUBECTL`, the newest
/// up to 1.33 beside the one on PATH, or the one on PATH.
pub fn find_kubectl(version: &str) -> Option<PathBuf> {
    if version.is_empty() {
        return std::env::var_os("KUBECTL")
            .map(PathBuf::from)
            .or_else(|| find_kubectl("1.33"))
            .or_else(on_path);
    }
    let beside = on_path()?
        .canonicalize()
        .ok()?
        .with_file_name(format!("kubectl.{version}"));
    beside.exists().then_some(beside)
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join("kubectl"))
        .find(|file| file.exists())
}
