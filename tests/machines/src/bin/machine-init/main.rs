//! The first process of a test machine, and its agent: mounts the root filesystem, then runs what the host asks for. A
//! static program in the initial RAM disk.

mod agent;
mod boot;

fn main() {
    let result = if std::env::args().nth(1).as_deref() == Some("agent") {
        agent::serve()
    } else {
        boot::boot()
    };
    if let Err(error) = result {
        // The console shows it, and the end of the first process ends the machine.
        eprintln!("machine-init: {error}");
        std::process::exit(1);
    }
}
