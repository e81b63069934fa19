use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;

use super::atomic;
use super::host_path;
use super::ownership::Owner;
use super::payload::{File, check_path, select};
use crate::cache::Kind;

fn files(list: &[(&str, &str)]) -> BTreeMap<String, File> {
    let file = |text: &str| File {
        data: text.into(),
        mode: 0o640,
        private: false,
    };
    list.iter()
        .map(|(path, text)| ((*path).to_owned(), file(text)))
        .collect()
}

fn visible(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with(".."))
        .collect();
    names.sort();
    names
}

#[test]
fn files_appear_change_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("v");
    atomic::write(&at, &files(&[("a", "1"), ("d/b", "2")]), Owner::default()).unwrap();
    assert_eq!(visible(&at), ["a", "d"]);
    assert_eq!(fs::read_to_string(at.join("d/b")).unwrap(), "2");
    assert_eq!(
        fs::metadata(at.join("a")).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let before = fs::read_link(at.join("..data")).unwrap();
    atomic::write(&at, &files(&[("a", "1"), ("d/b", "2")]), Owner::default()).unwrap();
    assert_eq!(
        fs::read_link(at.join("..data")).unwrap(),
        before,
        "unchanged content is not written again"
    );
    atomic::write(&at, &files(&[("a", "9")]), Owner::default()).unwrap();
    assert_eq!(visible(&at), ["a"]);
    assert_eq!(fs::read_to_string(at.join("a")).unwrap(), "9");
    assert!(!at.join(before).exists(), "the former directory is removed");
}

#[test]
fn a_write_that_was_interrupted_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("v");
    atomic::write(&at, &files(&[("a", "1")]), Owner::default()).unwrap();
    fs::create_dir(at.join("..half")).unwrap();
    std::os::unix::fs::symlink("nowhere", at.join("..data_tmp")).unwrap();
    atomic::write(&at, &files(&[("a", "2")]), Owner::default()).unwrap();
    assert_eq!(fs::read_to_string(at.join("a")).unwrap(), "2");
    assert!(!at.join("..half").exists());
}

#[test]
fn paths_that_leave_the_volume_are_refused() {
    for path in [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "..data",
        "..",
        "./..x/../..",
    ] {
        assert!(check_path(path).is_err(), "{path}");
    }
    for path in ["a", "a/b", ".hidden", "a..b", "x/..y"] {
        assert!(check_path(path).is_ok(), "{path}");
    }
}

proptest! {
    #[test]
    fn no_accepted_path_leaves_its_directory(path in "[a./]{0,12}") {
        if check_path(&path).is_ok() {
            let joined = Path::new("/v").join(&path);
            prop_assert!(joined.starts_with("/v"));
            prop_assert!(!joined.components().any(|c| c == std::path::Component::ParentDir));
        }
    }
}

#[test]
fn items_pick_keys() {
    let data: BTreeMap<String, Vec<u8>> = [("k".to_owned(), b"v".to_vec())].into();
    let item = |key: &str| k8s_openapi::api::core::v1::KeyToPath {
        key: key.into(),
        mode: Some(0o400),
        path: "p/q".into(),
    };
    let picked = select(Kind::ConfigMap, &data, Some(&[item("k")]), 0o644, false).unwrap();
    assert_eq!(picked["p/q"].mode, 0o400);
    let error = select(Kind::ConfigMap, &data, Some(&[item("x")]), 0o644, false).unwrap_err();
    assert_eq!(error.to_string(), "references non-existent config key: x");
    assert!(
        select(Kind::Secret, &data, Some(&[item("x")]), 0o644, true)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn host_path_types() {
    let dir = tempfile::tempdir().unwrap();
    let check = |name: &str, type_: &str| {
        let path = dir.path().join(name).to_str().unwrap().to_owned();
        host_path::prepare(&k8s_openapi::api::core::v1::HostPathVolumeSource {
            path,
            type_: Some(type_.into()),
        })
    };
    assert!(
        check("missing", "Directory")
            .unwrap_err()
            .to_string()
            .ends_with("missing is not a directory")
    );
    check("made", "DirectoryOrCreate").unwrap();
    check("made", "Directory").unwrap();
    check("file", "FileOrCreate").unwrap();
    check("file", "File").unwrap();
    assert!(check("file", "Directory").is_err());
    assert!(check("made", "Socket").is_err());
    assert!(check("made", "Nonsense").is_err());
}
