//! A running machine.

use std::io::{BufReader, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::console::{Console, kernel_failure};
use crate::wire::Frame;
use crate::{Accelerator, Error, Lab, Setup, disk, qemu, work};

/// How often a boot is tried.
const TRIES: usize = 3;
/// How long a boot may take: 2 seconds are usual under emulation, but the host may be busy with much else (a minute was
/// not enough beside four builds).
const BOOT: Duration = Duration::from_mins(3);
/// How long powering off may take.
const POWER_OFF: Duration = Duration::from_secs(30);

static RETRIES: AtomicUsize = AtomicUsize::new(0);

/// What a script left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Exit code; 128 + signal if a signal ended it.
    pub code: i32,
    /// Standard output and standard error.
    pub output: String,
}

/// A running machine; dropping it ends it and removes its files.
#[derive(Debug)]
pub struct Machine {
    qemu: Child,
    agent: BufReader<UnixStream>,
    console: Console,
    forwards: Vec<(u16, SocketAddr)>,
    /// Kernel release, as the machine says.
    release: String,
    slowness: u32,
    // Removed last.
    _directory: tempfile::TempDir,
}

impl Machine {
    pub(crate) fn boot(setup: &Setup, lab: &Lab) -> Result<Self, Error> {
        let mut tried = 1;
        loop {
            match Self::try_boot(setup, lab) {
                Err(error) if error.is_machine() && tried < TRIES => {
                    eprintln!("machine: boot {tried} of {TRIES} failed: {error}");
                    RETRIES.fetch_add(1, Ordering::Relaxed);
                    tried += 1;
                }
                other => return other,
            }
        }
    }

    /// How often a boot had to be repeated in this process.
    pub fn retries() -> usize {
        RETRIES.load(Ordering::Relaxed)
    }

    fn try_boot(setup: &Setup, lab: &Lab) -> Result<Self, Error> {
        let directory = work::directory()?;
        let path = directory.path().join("agent");
        let listener = UnixListener::bind(&path).map_err(Error::io("binding a machine's socket"))?;
        let host_ports = free_ports(setup.forwards.len())?;
        let parts = qemu::Parts {
            accelerator: lab.accelerator,
            version: lab.qemu,
            vmlinux: lab.vmlinux(setup.kernel),
            initrd: lab.initrd(setup.kernel),
            root: lab.root(),
            layer: disk::layer(&setup.files, directory.path())?,
            agent: path,
            host_ports,
        };
        let mut child = Command::new("qemu-system-x86_64")
            .args(qemu::arguments(setup, &parts))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::io("starting qemu-system-x86_64"))?;
        let output = child.stdout.take().zip(child.stderr.take());
        let Some((stdout, stderr)) = output else {
            unreachable!("both are piped")
        };
        let console = Console::new(stdout);
        let mut complaints = Console::new(stderr);
        let boot = || -> Result<(BufReader<UnixStream>, String), String> {
            let deadline = Instant::now() + BOOT;
            if !readable(&listener, deadline).map_err(|e| e.to_string())? {
                return Err("QEMU does not connect".into());
            }
            let (stream, _) = listener.accept().map_err(|e| e.to_string())?;
            let mut agent = BufReader::new(stream);
            match next_frame(&mut agent, deadline) {
                Ok(Some(Frame::Hello(release))) => Ok((agent, release)),
                other => Err(format!("{other:?} in place of its first words")),
            }
        };
        match boot() {
            Ok((agent, release)) => {
                let mut machine = Self {
                    qemu: child,
                    agent,
                    console,
                    forwards: setup
                        .forwards
                        .iter()
                        .zip(&parts.host_ports)
                        .map(|(guest, host)| (*guest, SocketAddr::from((Ipv4Addr::LOCALHOST, *host))))
                        .collect(),
                    release,
                    slowness: match lab.accelerator {
                        Accelerator::Kvm => 1,
                        Accelerator::Emulation => 10,
                    },
                    _directory: directory,
                };
                machine.ok(&setup.network_script())?;
                Ok(machine)
            }
            Err(reason) => {
                let _ = child.kill();
                let _ = child.wait();
                complaints.finish();
                Err(Error::Boot {
                    reason: format!("{reason}; {}", complaints.tail()),
                    console: console.tail(),
                })
            }
        }
    }

    /// Kernel release.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// Where on the host's loopback a forwarded port is.
    pub fn forwarded(&self, port: u16) -> Option<SocketAddr> {
        self.forwards
            .iter()
            .find(|(guest, _)| *guest == port)
            .map(|(_, host)| *host)
    }

    /// How many times slower than the host this machine may be: for time-outs.
    pub fn slowness(&self) -> u32 {
        self.slowness
    }

    /// The serial console so far: what the kernel said.
    pub fn console(&self) -> String {
        self.console.text()
    }

    /// Runs a shell script to its end. What it leaves in the background goes on; its output from then on is lost.
    pub fn run(&mut self, script: &str, limit: Duration) -> Result<Run, Error> {
        let mut output = Vec::new();
        let result = self.run_into(script, Instant::now() + limit, &mut output);
        let output = String::from_utf8_lossy(&output).into_owned();
        match result {
            Ok(code) => {
                if let Some(line) = kernel_failure(&self.console.text()) {
                    return Err(Error::Failed {
                        script: format!("(kernel: {line})"),
                        code,
                        output,
                    });
                }
                Ok(Run { code, output })
            }
            Err(e) if e.kind() == ErrorKind::TimedOut => Err(Error::Timeout {
                limit,
                output,
                console: self.console.tail(),
            }),
            Err(_) => Err(Error::Vanished {
                output,
                console: self.console.tail(),
            }),
        }
    }

    /// Runs a short script that must succeed, and returns its output.
    pub fn ok(&mut self, script: &str) -> Result<String, Error> {
        let run = self.run(script, Duration::from_mins(1))?;
        if run.code == 0 {
            return Ok(run.output);
        }
        Err(Error::Failed {
            script: script.into(),
            code: run.code,
            output: run.output,
        })
    }

    /// The contents of a file.
    pub fn read(&mut self, path: &str) -> Result<Vec<u8>, Error> {
        let mut output = Vec::new();
        let deadline = Instant::now() + Duration::from_mins(1);
        let code = self.run_into(&format!("exec cat '{path}'"), deadline, &mut output);
        match code {
            Ok(0) => Ok(output),
            other => Err(Error::Failed {
                script: format!("cat {path}"),
                code: other.unwrap_or(-1),
                output: String::from_utf8_lossy(&output).into_owned(),
            }),
        }
    }

    /// Starts a script without waiting for it; [`Machine::cut`] or [`Machine::finish`] come next.
    pub fn start(&mut self, script: &str) -> Result<(), Error> {
        Frame::Run(script.into())
            .write(self.agent.get_mut())
            .map_err(Error::io("sending a script"))
    }

    /// Reads on until a started script has said `text`; returns what it said so far.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<String, Error> {
        let deadline = Instant::now() + limit;
        let mut output = String::new();
        while !output.contains(text) {
            match next_frame(&mut self.agent, deadline) {
                Ok(Some(Frame::Output(bytes))) => output += &String::from_utf8_lossy(&bytes),
                Ok(Some(_)) => {
                    return Err(Error::Failed {
                        script: format!("(waiting for {text:?})"),
                        code: -1,
                        output,
                    });
                }
                _ => {
                    return Err(Error::Timeout {
                        limit,
                        output,
                        console: self.console.tail(),
                    });
                }
            }
        }
        Ok(output)
    }

    /// Writes back everything and powers off.
    pub fn power_off(mut self) -> Result<(), Error> {
        Frame::PowerOff
            .write(self.agent.get_mut())
            .map_err(Error::io("asking for power off"))?;
        // The end of the machine closes the agent's stream.
        let deadline = Instant::now() + POWER_OFF;
        loop {
            match next_frame(&mut self.agent, deadline) {
                Ok(Some(_)) => {}
                Err(e) if e.kind() == ErrorKind::TimedOut => {
                    return Err(Error::Timeout {
                        limit: POWER_OFF,
                        output: String::new(),
                        console: self.console.tail(),
                    });
                }
                _ => return Ok(()),
            }
        }
    }

    /// Cuts the power: what the machine has not given to its disks is lost. Returns what a started script has said until
    /// then.
    pub fn cut(mut self) -> String {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        let mut output = String::new();
        while let Ok(Some(frame)) = next_frame(&mut self.agent, Instant::now() + Duration::from_secs(5)) {
            if let Frame::Output(bytes) = frame {
                output += &String::from_utf8_lossy(&bytes);
            }
        }
        output
    }

    fn run_into(&mut self, script: &str, deadline: Instant, output: &mut Vec<u8>) -> std::io::Result<i32> {
        Frame::Run(script.into()).write(self.agent.get_mut())?;
        loop {
            match next_frame(&mut self.agent, deadline)? {
                Some(Frame::Output(bytes)) => output.extend(bytes),
                Some(Frame::Exit(code)) => return Ok(code),
                Some(_) => return Err(ErrorKind::InvalidData.into()),
                None => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        self.console.finish();
    }
}

/// Waits for something to read, until the deadline.
fn readable(from: &impl AsFd, deadline: Instant) -> std::io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(from.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The next frame, or `TimedOut`. A frame that has begun is read to its end.
fn next_frame(agent: &mut BufReader<UnixStream>, deadline: Instant) -> std::io::Result<Option<Frame>> {
    if agent.buffer().is_empty() && !readable(agent.get_ref(), deadline)? {
        return Err(ErrorKind::TimedOut.into());
    }
    Frame::read(agent)
}

/// Ports on loopback that were free a moment ago: QEMU cannot tell which one it chose. If another program is quicker, the
/// boot fails, and the next try takes others.
fn free_ports(count: usize) -> Result<Vec<u16>, Error> {
    let what = "finding a free port";
    let listeners: Result<Vec<_>, _> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect();
    let ports = listeners
        .map_err(Error::io(what))?
        .iter()
        .map(TcpListener::local_addr)
        .collect::<Result<Vec<_>, _>>();
    Ok(ports
        .map_err(Error::io(what))?
        .iter()
        .map(SocketAddr::port)
        .collect())
}
