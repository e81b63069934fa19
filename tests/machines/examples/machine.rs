//! A machine by hand: boots one, runs a script, shows its output and the console, and ends it.
//!
//! `cargo run -p keelson-machines --example machine -- 6.1 'uname -r; /opt/x' FILE=/opt/x ...`

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use keelson_machines::{Disk, Kernel, Lab, Setup};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "machine SERIES SCRIPT [FILE=PATH_INSIDE ...]";
    let kernel = match arguments.next().context(usage)?.as_str() {
        "6.1" => Kernel::Linux6_1,
        "6.12" => Kernel::Linux6_12,
        other => bail!("no kernel {other}: {usage}"),
    };
    let script = arguments.next().context(usage)?;
    let disk = Disk::new(256)?;
    let mut setup = Setup::new(kernel).memory(1536).disk(&disk);
    for pair in arguments {
        let (file, path) = pair.split_once('=').context(usage)?;
        setup = setup.file(file, path);
    }
    let lab = Lab::new()?;
    let begin = Instant::now();
    let mut machine = setup.boot(&lab)?;
    eprintln!("{} is up after {:?}", machine.release(), begin.elapsed());
    let run = machine.run(&script, Duration::from_mins(30))?;
    print!("{}", run.output);
    eprintln!(
        "exit code {} after {:?}; console:\n{}",
        run.code,
        begin.elapsed(),
        machine.console()
    );
    machine.power_off()?;
    std::process::exit(run.code)
}
