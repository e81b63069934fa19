//! Hostile programs, compiled when they are needed: static, so that they run in any root filesystem.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `payloads/NAME.c`. `None`, with a word, on a machine without a C compiler.
pub fn compile(name: &str) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/attacks/payloads/{name}.c"));
    let text = fs::read(&source).unwrap();
    let version = keelson_runtime::image::Digest::of(&text)
        .to_string()
        .replace(':', "-");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("payloads");
    let program = directory.join(format!("{name}-{}", &version[..24]));
    if program.exists() {
        return Some(program);
    }
    fs::create_dir_all(&directory).unwrap();
    // Tests run side by side: each compiles to a name of its own, and the last rename wins.
    let own = directory.join(format!(
        "{name}-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    let compiled = Command::new("cc")
        .args(["-static", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&own)
        .arg(&source)
        .status();
    match compiled {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("no C compiler: this attack is not made");
            return None;
        }
        status => assert!(status.unwrap().success(), "{name}.c does not compile"),
    }
    fs::rename(&own, &program).unwrap();
    Some(program)
}
