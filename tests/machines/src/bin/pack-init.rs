//! Packs a first process with the devices that it needs before it can mount any: `pack-init PROGRAM >>initrd`.

use std::io::Write;

use keelson_machines::archive::{Member, write};

fn main() -> std::io::Result<()> {
    let program = std::env::args_os().nth(1).unwrap_or_default();
    let program = std::fs::read(program)?;
    let members = [
        Member::Directory("dev"),
        Member::Character("dev/console", 5, 1),
        Member::Character("dev/null", 1, 3),
        Member::Program("init", &program),
    ];
    let mut out = std::io::stdout().lock();
    write(&members, &mut out)?;
    out.flush()
}
