//! Several machines on one Ethernet segment, and the way in from the host.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use keelson_machines::{Kernel, Lab, Machine, Setup, Switch};

use crate::{DEFAULT, Test};

pub const TESTS: &[Test] = &[
    ("link::cut_restored_and_slow", DEFAULT, two_machines),
    ("link::a_forwarded_port", DEFAULT, a_forwarded_port),
];

/// Whether one echo request of three is answered.
fn reaches(machine: &mut Machine, address: &str) -> Result<bool> {
    let run = machine.run(
        &format!("ping -n -c 3 -i 0.3 -W 2 {address}"),
        Duration::from_mins(1),
    )?;
    Ok(run.output.contains(" bytes from "))
}

/// Average round trip in milliseconds.
fn round_trip(machine: &mut Machine, address: &str) -> Result<f64> {
    let text = machine.ok(&format!("ping -n -q -c 4 -i 0.3 -W 5 {address}"))?;
    let summary = text.split("min/avg/max/mdev = ").nth(1).context(text.clone())?;
    Ok(summary.split('/').nth(1).context(text.clone())?.parse()?)
}

fn two_machines(lab: &Lab, kernel: Kernel) -> Result<()> {
    let (_switch, ports) = Switch::new(2)?;
    let mut one = Setup::new(kernel)
        .memory(512)
        .link(&ports[0], "10.9.0.1/24")
        .boot(lab)?;
    let mut two = Setup::new(kernel)
        .memory(512)
        .link(&ports[1], "10.9.0.2/24")
        .boot(lab)?;
    ensure!(reaches(&mut one, "10.9.0.2")? && reaches(&mut two, "10.9.0.1")?);
    ports[1].cut();
    ensure!(!reaches(&mut one, "10.9.0.2")? && !reaches(&mut two, "10.9.0.1")?);
    ports[1].restore();
    ensure!(reaches(&mut one, "10.9.0.2")? && reaches(&mut two, "10.9.0.1")?);
    let quick = round_trip(&mut one, "10.9.0.2")?;
    ports[0].delay(Duration::from_millis(100));
    let slow = round_trip(&mut one, "10.9.0.2")?;
    ensure!(slow > quick + 190.0, "{quick} ms, delayed {slow} ms");
    ports[0].delay(Duration::ZERO);
    // A stream survives losses, and what arrives is what was sent.
    ports[0].lose_one_in(20);
    // busybox' nc ends its side when its own input does.
    two.ok("mkfifo /tmp/quiet; sleep 1000 >/tmp/quiet & busybox nc -l -p 4000 </tmp/quiet >/tmp/received & sleep 0.5")?;
    let sent = one.ok(
        "head -c 1000000 /dev/urandom >/tmp/sent; busybox nc -w 60 10.9.0.2 4000 </tmp/sent; sha256sum </tmp/sent",
    )?;
    let received = two.ok(
        "for n in $(seq 100); do pgrep -x busybox >/dev/null || break; sleep 0.1; done; sha256sum </tmp/received",
    )?;
    ensure!(sent == received, "{sent} {received}");
    Ok(())
}

fn a_forwarded_port(lab: &Lab, kernel: Kernel) -> Result<()> {
    let mut machine = Setup::new(kernel)
        .memory(512)
        .text("from the machine", "/srv/index.html")
        .forward(8080)
        .boot(lab)?;
    machine.ok("busybox httpd -p 8080 -h /srv")?;
    let address = machine.forwarded(8080).context("8080 is forwarded")?;
    ensure!(address.ip().is_loopback());
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.ends_with("from the machine"), "{answer}");
    Ok(())
}
