//! A connection to systemd over the system's or a user's message bus.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::super::Error;
use super::message::{Call, FIXED, Incoming, Value, Writer, length};

/// How long systemd may take over a job; it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// A connection.
#[derive(Debug)]
pub struct Bus {
    socket: UnixStream,
    serial: u32,
}

/// The socket of the first `unix:path=` address of a list.
fn socket_path(addresses: &str) -> Option<PathBuf> {
    addresses.split(';').find_map(|address| {
        let keys = address.strip_prefix("unix:")?;
        keys.split(',')
            .find_map(|pair| pair.strip_prefix("path="))
            .map(PathBuf::from)
    })
}

fn path(user: bool) -> PathBuf {
    let (variable, default) = if user {
        let dir = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| PathBuf::from("/run"), PathBuf::from);
        ("DBUS_SESSION_BUS_ADDRESS", dir.join("bus"))
    } else {
        (
            "DBUS_SYSTEM_BUS_ADDRESS",
            PathBuf::from("/run/dbus/system_bus_socket"),
        )
    };
    let named = std::env::var(variable).ok();
    named.as_deref().and_then(socket_path).unwrap_or(default)
}

impl Bus {
    /// Connects to the system's bus, or to the caller's own.
    pub fn open(user: bool) -> Result<Self, Error> {
        let path = path(user);
        let what = || format!("connecting to systemd's bus {}", path.display());
        let socket = UnixStream::connect(&path).map_err(Error::io(what()))?;
        socket
            .set_read_timeout(Some(PATIENCE))
            .map_err(Error::io(what()))?;
        Self::over(socket)
    }

    /// Signs in on a fresh connection.
    pub(super) fn over(mut socket: UnixStream) -> Result<Self, Error> {
        // We do not say who we are: the bus knows from the socket, also across user namespaces.
        socket
            .write_all(b"\0AUTH EXTERNAL\r\n")
            .map_err(Error::io("signing in on the bus"))?;
        let mut answer = line(&mut socket)?;
        if answer.starts_with("DATA") {
            socket
                .write_all(b"DATA\r\n")
                .map_err(Error::io("signing in on the bus"))?;
            answer = line(&mut socket)?;
        }
        if !answer.starts_with("OK ") {
            return Err(Error::Invalid(format!("the bus refused us: {answer}")));
        }
        socket
            .write_all(b"BEGIN\r\n")
            .map_err(Error::io("signing in on the bus"))?;
        let mut bus = Self { socket, serial: 0 };
        let hello = Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
            signature: "",
        };
        bus.call(hello, &[])?;
        Ok(bus)
    }

    fn send(&mut self, call: Call<'_>, body: &[u8]) -> Result<u32, Error> {
        self.serial += 1;
        self.socket
            .write_all(&call.message(self.serial, body))
            .map_err(Error::io(format!("calling {}", call.member)))?;
        Ok(self.serial)
    }

    fn receive(&mut self) -> Result<Incoming, Error> {
        let what = || Error::io("waiting for systemd");
        let mut head = [0; FIXED];
        self.socket.read_exact(&mut head).map_err(what())?;
        let mut bytes = vec![0; length(&head)?.max(FIXED)];
        bytes[..FIXED].copy_from_slice(&head);
        self.socket.read_exact(&mut bytes[FIXED..]).map_err(what())?;
        Incoming::parse(&bytes)
    }

    /// Calls and waits for the answer; what else comes meanwhile is given to `other`.
    fn call_with(
        &mut self,
        call: Call<'_>,
        body: &[u8],
        mut other: impl FnMut(Incoming),
    ) -> Result<Incoming, Error> {
        let member = call.member.to_owned();
        let serial = self.send(call, body)?;
        loop {
            let message = self.receive()?;
            match message.kind {
                2 if message.reply_to == serial => return Ok(message),
                3 if message.reply_to == serial => {
                    let words = message.arguments().unwrap_or_default().join(" ");
                    return Err(Error::Invalid(format!("{member}: {}: {words}", message.error)));
                }
                _ => other(message),
            }
        }
    }

    fn call(&mut self, call: Call<'_>, body: &[u8]) -> Result<Incoming, Error> {
        self.call_with(call, body, |_| {})
    }

    fn manager<'a>(member: &'a str, signature: &'a str) -> Call<'a> {
        Call {
            destination: "org.freedesktop.systemd1",
            path: "/org/freedesktop/systemd1",
            interface: MANAGER,
            member,
            signature,
        }
    }

    /// Has systemd tell us of finished jobs.
    fn subscribe(&mut self) -> Result<(), Error> {
        let add_match = Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "AddMatch",
            signature: "s",
        };
        let mut body = Writer::default();
        body.text(&format!(
            "type='signal',sender='org.freedesktop.systemd1',interface='{MANAGER}',member='JobRemoved'"
        ));
        self.call(add_match, &body.0)?;
        // Refused where somebody else on this connection has: there is nobody else.
        let _ = self.call(Self::manager("Subscribe", ""), &[]);
        Ok(())
    }

    /// Makes a call that returns a job, and waits for the job's end.
    fn job(&mut self, call: Call<'_>, body: &[u8]) -> Result<(), Error> {
        self.subscribe()?;
        let mut early = Vec::new();
        let answer = self.call_with(call, body, |message| early.push(message))?;
        let arguments = answer.arguments()?;
        let job = arguments
            .first()
            .ok_or_else(|| Error::Invalid(format!("{} returned no job", call.member)))?;
        let mut early = early.into_iter();
        loop {
            let message = match early.next() {
                Some(message) => message,
                None => self.receive()?,
            };
            if message.kind != 4 || message.member != "JobRemoved" {
                continue;
            }
            match message.arguments()?.as_slice() {
                [_, path, unit, result] if path == job => {
                    return match result.as_str() {
                        "done" => Ok(()),
                        result => Err(Error::Invalid(format!("{} of {unit}: job {result}", call.member))),
                    };
                }
                _ => {}
            }
        }
    }

    /// `StartTransientUnit`. A failed unit of that name that was left behind is cleared away first.
    pub(super) fn start_unit(&mut self, name: &str, properties: &[(String, Value)]) -> Result<(), Error> {
        let mut body = Writer::default();
        body.text(name);
        body.text("replace");
        body.properties(properties);
        body.array(8, |_| {});
        let call = Self::manager("StartTransientUnit", "ssa(sv)a(sa(sv))");
        match self.job(call, &body.0) {
            Err(Error::Invalid(text)) if text.contains(".UnitExists") => {
                self.reset_failed(name);
                self.job(call, &body.0)
            }
            other => other,
        }
    }

    /// Ends a unit. Absent is fine.
    pub fn stop_unit(&mut self, name: &str) -> Result<(), Error> {
        let mut body = Writer::default();
        body.text(name);
        body.text("replace");
        let stopped = match self.job(Self::manager("StopUnit", "ss"), &body.0) {
            Err(Error::Invalid(text)) if text.contains(".NoSuchUnit") => Ok(()),
            other => other,
        };
        self.reset_failed(name);
        stopped
    }

    fn reset_failed(&mut self, name: &str) {
        let mut body = Writer::default();
        body.text(name);
        let _ = self.call(Self::manager("ResetFailedUnit", "s"), &body.0); // none is fine
    }

    /// Changes properties of a running unit.
    pub fn set_properties(&mut self, name: &str, properties: &[(String, Value)]) -> Result<(), Error> {
        let mut body = Writer::default();
        body.text(name);
        body.u32(1); // until it ends, or the machine
        body.properties(properties);
        self.call(Self::manager("SetUnitProperties", "sba(sv)"), &body.0)
            .map(|_| ())
    }

    /// The cgroup that this manager itself lives in: `/` for the system's.
    pub fn control_group(&mut self) -> Result<String, Error> {
        let call = Call {
            destination: "org.freedesktop.systemd1",
            path: "/org/freedesktop/systemd1",
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
            signature: "ss",
        };
        let mut body = Writer::default();
        body.text(MANAGER);
        body.text("ControlGroup");
        let answer = self.call(call, &body.0)?.arguments()?;
        Ok(answer.first().cloned().unwrap_or_default())
    }
}

fn line(socket: &mut UnixStream) -> Result<String, Error> {
    const LONGEST: usize = 512;
    let mut text = Vec::new();
    let mut byte = [0];
    while text.len() < LONGEST {
        socket
            .read_exact(&mut byte)
            .map_err(Error::io("signing in on the bus"))?;
        text.push(byte[0]);
        if text.ends_with(b"\r\n") {
            return Ok(String::from_utf8_lossy(&text).trim_end().to_owned());
        }
    }
    Err(Error::Invalid("the bus does not speak D-Bus".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(socket_path("unix:path=/a/b"), Some("/a/b".into()));
        assert_eq!(socket_path("tcp:host=x;unix:guid=1,path=/c"), Some("/c".into()));
        assert_eq!(socket_path("unix:abstract=x"), None);
    }

    /// A bus that says `bytes` to us, whatever we say.
    fn against(bytes: &[u8]) -> Result<Bus, Error> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(bytes).unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        Bus::over(ours)
    }

    #[test]
    fn hostile_buses() {
        for bytes in [
            b"".as_slice(),
            b"REJECTED EXTERNAL\r\n",
            b"OK",
            b"OK 1\r\n",
            b"OK 1\r\nl\x02\0\x01\xff\xff\xff\xff\x01\0\0\0\0\0\0\0",
            b"OK 1\r\nl\x02\0\x01\0\0\0\0\x01\0\0\0\xff\xff\xff\x7f",
            b"OK 1\r\nXXXXXXXXXXXXXXXXXXXXXXXX",
            &[b'x'; 4096],
        ] {
            assert!(against(bytes).is_err(), "{bytes:?}");
        }
    }
}
