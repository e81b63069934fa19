//! What the heap of the binary was told: read back from it, by jemalloc's statistics at exit.

use std::process::Command;

/// jemalloc's options, as a run of the binary has them.
fn options(environment: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_keelson"))
        .arg("--version")
        .env("_RJEM_MALLOC_CONF", environment)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_heap_is_tuned_however_the_binary_was_built() {
    let said = options("stats_print:true");
    for option in [
        "opt.narenas: 1\n",
        "opt.tcache_max: 4096\n",
        "opt.dirty_decay_ms: 50 ",
        "opt.muzzy_decay_ms: 0 ",
    ] {
        assert!(said.contains(option), "{option:?} is not in {said}");
    }
    // Who looks for the reason of something may tell it otherwise.
    let said = options("stats_print:true,narenas:3");
    assert!(said.contains("opt.narenas: 3\n"), "{said}");
}
