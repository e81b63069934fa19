//! Log files under pressure.

use std::fs;

use keelson_runtime::node::*;

use crate::support::Node;

#[test]
fn logs_rotate_by_size_and_the_oldest_go() {
    let node = Node::new();
    let directory = node.directory.path().join("logs");
    fs::create_dir(&directory).unwrap();
    let spec = ContainerSpec {
        log_path: Some(directory.join("0.log")),
        log_max_size: 20_000,
        log_max_files: 3,
        ..node.shell("for i in 1 2 3 4 5; do seq 1 600; sleep 1.05; done")
    };
    node.run(&spec);
    let mut names: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(
        names[0] == "0.log"
            && names[1].starts_with("0.log.20")
            && names[1].len() == "0.log.20260101-000000".len()
    );
    for name in &names {
        for line in fs::read_to_string(directory.join(name)).unwrap().lines() {
            assert!(line.split(' ').nth(2) == Some("F"), "{line}");
        }
    }
}

#[test]
fn a_moved_log_is_reopened() {
    let node = Node::new();
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    let spec = ContainerSpec {
        stdin: true,
        ..node.shell("while read x; do echo $x; done")
    };
    node.runtime.create_container("pod", &spec).unwrap();
    node.runtime.start_container(&spec.id).unwrap();
    let log = spec.log_path.clone().unwrap();
    fs::rename(&log, log.with_extension("old")).unwrap();
    node.runtime.reopen_log(&spec.id).unwrap();
    let mut session = node.runtime.attach(&spec.id).unwrap();
    let mut stdin = fs::File::from(session.stdin.take().unwrap());
    std::io::Write::write_all(&mut stdin, b"fresh\n").unwrap();
    let mut stdout = fs::File::from(session.stdout.take().unwrap());
    std::io::Read::read_exact(&mut stdout, &mut [0; 6]).unwrap();
    assert_eq!(Node::log(&spec), "fresh\n");
}

#[test]
fn a_full_disk_does_not_stop_the_container() {
    let node = Node::new();
    let disk = node.directory.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let path = std::ffi::CString::new(disk.to_str().unwrap()).unwrap();
    keelson_runtime::sys::mount_tmpfs(&path, c"size=64k").unwrap();
    let spec = ContainerSpec {
        log_path: Some(disk.join("0.log")),
        ..node.shell("yes | head -c 1000000; echo last; exit 9")
    };
    node.runtime.create_sandbox(&Node::sandbox("pod")).unwrap();
    node.runtime.create_container("pod", &spec).unwrap();
    node.runtime.start_container(&spec.id).unwrap();
    assert_eq!(node.wait(&spec.id), 9);
    let log = fs::read_to_string(disk.join("0.log")).unwrap();
    keelson_runtime::sys::unmount(&path).unwrap();
    assert!(
        log.ends_with('\n') && log.lines().all(|line| line.split(' ').count() == 4),
        "only whole records"
    );
}

#[test]
fn binary_without_newlines_is_cut_into_records() {
    let node = Node::new();
    let (code, _) = node.run(&ContainerSpec {
        log_max_size: 0,
        ..node.shell("head -c 20000000 /dev/zero")
    });
    assert_eq!(code, 0);
}
