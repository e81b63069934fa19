//! A busybox root filesystem.

use std::fs;
use std::path::Path;

/// A root filesystem with busybox and its usual names.
pub fn install(root: &Path) {
    for directory in ["bin", "etc", "proc", "tmp", "root", "home/bob"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::copy("/usr/bin/busybox", root.join("bin/busybox")).unwrap();
    for name in [
        "sh", "cat", "ls", "id", "echo", "true", "false", "sleep", "mount", "ps", "env", "stty", "head",
        "yes", "wc", "hostname", "ip", "dd", "touch", "mkdir", "readlink", "grep", "mknod", "chmod", "ln",
        "rm", "test", "kill", "pwd", "tty", "df", "umount", "seq", "tr", "stat", "find", "mv", "unshare",
        "sort", "printf", "date", "nc",
    ] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n",
    )
    .unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nbob:x:1000:\nwheel:x:10:bob\n").unwrap();
}
