mod side_by_side;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;

use proptest::prelude::*;
use tar::EntryType;

use super::*;
use crate::image::fixture::{Tar, gzip};

/// Layers in a directory beside a file that must never change.
struct Host {
    directory: tempfile::TempDir,
    layers: Vec<PathBuf>,
}

impl Host {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("outside"), "untouched").unwrap();
        Self {
            directory,
            layers: Vec::new(),
        }
    }

    fn unpack(&mut self, tar: &[u8]) -> Result<PathBuf, Error> {
        let path = self.directory.path().join(format!("layer{}", self.layers.len()));
        fs::create_dir(&path).unwrap();
        let lowers: Vec<&Path> = self.layers.iter().map(PathBuf::as_path).collect();
        let unpacked = unpack(tar, open(&path).unwrap(), &lowers, &Budget::new(64 << 20));
        self.layers.push(path.clone());
        assert_eq!(
            fs::read(self.directory.path().join("outside")).unwrap(),
            b"untouched"
        );
        let names = fs::read_dir(self.directory.path()).unwrap().count();
        assert_eq!(
            names,
            1 + self.layers.len(),
            "something was made beside the layers"
        );
        unpacked.map(|_| path)
    }
}

/// A pax record whose length has two digits.
fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let length = 2 + 1 + key.len() + 1 + value.len() + 1;
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

fn is_whiteout(path: &Path) -> bool {
    let metadata = fs::symlink_metadata(path).unwrap();
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

fn is_opaque(path: &Path) -> bool {
    xattr::get(path, tree::OPAQUE).unwrap().as_deref() == Some(b"y")
}

#[test]
fn attributes_are_kept() {
    let mut header = Tar::header(EntryType::Regular, "bin/su", "", 3);
    header.set_mode(0o4755);
    header.set_uid(1234);
    header.set_gid(5678);
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let pax = [
        pax_record("SCHILY.xattr.security.capability", capability),
        pax_record("SCHILY.xattr.trusted.overlay.opaque", b"y"),
    ]
    .concat();
    let tar = Tar::default()
        .directory("./")
        .directory("bin/")
        .push(Tar::header(EntryType::XHeader, "x", "", pax.len() as u64), &pax)
        .push(header, b"abc")
        .symlink("bin/sh", "/bin/su")
        .hard_link("bin/link", "bin/su")
        .push(Tar::header(EntryType::Fifo, "fifo", "", 0), b"")
        .end();
    let mut host = Host::new();
    let path = host.unpack(&tar).unwrap();
    let su = fs::metadata(path.join("bin/su")).unwrap();
    assert_eq!(
        (su.uid(), su.gid(), su.mode() & 0o7777, su.mtime()),
        (1234, 5678, 0o4755, 1_000_000_000)
    );
    assert_eq!(
        xattr::get(path.join("bin/su"), "security.capability")
            .unwrap()
            .unwrap(),
        capability
    );
    assert_eq!(xattr::get(path.join("bin/su"), tree::OPAQUE).unwrap(), None);
    assert_eq!(fs::metadata(path.join("bin/link")).unwrap().ino(), su.ino());
    assert_eq!(fs::read_link(path.join("bin/sh")).unwrap(), Path::new("/bin/su"));
    assert!(fs::metadata(path.join("fifo")).unwrap().file_type().is_fifo());
    assert_eq!(fs::metadata(path.join("bin")).unwrap().mtime(), 1_000_000_000);
    assert_eq!(fs::metadata(&path).unwrap().mtime(), 1_000_000_000);
}

#[test]
fn long_names_of_both_kinds() {
    let name = format!("{}/{}", "d".repeat(150), "f".repeat(150));
    let pax = format!(" path={name}2\n");
    let pax = format!("{}{pax}", pax.len() + 3);
    let tar = Tar::default()
        .push(
            Tar::header(EntryType::GNULongName, "././@LongLink", "", name.len() as u64 + 1),
            format!("{name}\0").as_bytes(),
        )
        .file("short", b"1")
        .push(
            Tar::header(EntryType::XHeader, "x", "", pax.len() as u64),
            pax.as_bytes(),
        )
        .file("short", b"2")
        .end();
    let mut host = Host::new();
    let path = host.unpack(&tar).unwrap();
    assert_eq!(fs::read(path.join(&name)).unwrap(), b"1");
    assert_eq!(fs::read(path.join(format!("{name}2"))).unwrap(), b"2");
}

#[test]
fn whiteouts_become_those_of_overlayfs() {
    let mut host = Host::new();
    host.unpack(
        &Tar::default()
            .file("a", b"")
            .directory("d")
            .file("d/x", b"")
            .file("e/y", b"")
            .end(),
    )
    .unwrap();
    let tar = Tar::default()
        .file(".wh.a", b"")
        .directory("d")
        .file("d/.wh..wh..opq", b"")
        .file("d/.wh..wh.plnk", b"")
        .file(".wh.e", b"")
        .directory("e")
        .directory("own")
        .file(".wh.own", b"")
        .file("kept", b"1")
        .file(".wh.kept", b"")
        .end();
    let path = host.unpack(&tar).unwrap();
    assert!(is_whiteout(&path.join("a")));
    assert!(is_opaque(&path.join("d")));
    assert_eq!(fs::read_dir(path.join("d")).unwrap().count(), 0);
    assert!(
        is_opaque(&path.join("e")),
        "a directory after a whiteout hides what was below"
    );
    assert!(
        is_opaque(&path.join("own")),
        "a whiteout concerns the layers below only"
    );
    assert_eq!(fs::read(path.join("kept")).unwrap(), b"1");
}

#[test]
fn directories_of_lower_layers_keep_their_attributes() {
    let mut sticky = Tar::header(EntryType::Directory, "tmp", "", 0);
    sticky.set_mode(0o1777);
    sticky.set_uid(7);
    let mut host = Host::new();
    host.unpack(
        &Tar::default()
            .push(sticky, b"")
            .directory("usr")
            .directory("usr/lib")
            .symlink("lib", "usr/lib")
            .end(),
    )
    .unwrap();
    let path = host
        .unpack(
            &Tar::default()
                .file("tmp/new", b"")
                .file("lib/libc.so", b"elf")
                .file("fresh/file", b"")
                .end(),
        )
        .unwrap();
    let tmp = fs::metadata(path.join("tmp")).unwrap();
    assert_eq!((tmp.mode() & 0o7777, tmp.uid()), (0o1777, 7));
    assert_eq!(fs::read(path.join("usr/lib/libc.so")).unwrap(), b"elf");
    assert!(
        fs::symlink_metadata(path.join("lib")).is_err(),
        "the symlink below stays what it is"
    );
    assert_eq!(
        fs::metadata(path.join("fresh")).unwrap().permissions().mode() & 0o7777,
        0o755
    );
}

#[test]
fn removed_directories_do_not_come_back() {
    let mut host = Host::new();
    host.unpack(&Tar::default().directory("d").file("d/old", b"").end())
        .unwrap();
    host.unpack(&Tar::default().file(".wh.d", b"").end()).unwrap();
    let path = host.unpack(&Tar::default().file("d/new", b"").end()).unwrap();
    assert_eq!(
        fs::metadata(path.join("d")).unwrap().permissions().mode() & 0o7777,
        0o755
    );
    // In one layer: passing through the whiteout.
    let path = host
        .unpack(&Tar::default().file(".wh.d", b"").file("d/new", b"").end())
        .unwrap();
    assert!(is_opaque(&path.join("d")));
}

#[test]
fn later_members_replace_earlier_ones() {
    let mut host = Host::new();
    let tar = Tar::default()
        .file("a", b"1")
        .file("a", b"22")
        .directory("d")
        .file("d/x/y", b"")
        .file("d", b"now a file")
        .symlink("s", "a")
        .file("s", b"not through the link")
        .file("f", b"")
        .directory("f")
        .end();
    let path = host.unpack(&tar).unwrap();
    assert_eq!(fs::read(path.join("a")).unwrap(), b"22");
    assert_eq!(fs::read(path.join("d")).unwrap(), b"now a file");
    assert_eq!(fs::read(path.join("s")).unwrap(), b"not through the link");
    assert!(is_opaque(&path.join("f")));
}

#[test]
fn symlinks_are_followed_inside_the_image_only() {
    for target in ["/", "..", "../..", "/../../..", "x/../../.."] {
        let mut host = Host::new();
        let tar = Tar::default()
            .directory("x")
            .symlink("s", target)
            .file("s/outside", b"caught")
            .file("s/.wh.outside2", b"")
            .end();
        let path = host.unpack(&tar).unwrap();
        assert_eq!(fs::read(path.join("outside")).unwrap(), b"caught", "{target}");
        assert!(is_whiteout(&path.join("outside2")));
    }
}

#[test]
fn hostile_layers_are_refused() {
    let block = |kind| Tar::header(kind, "x", "", 0);
    let mut bad_owner = Tar::header(EntryType::Regular, "x", "", 0);
    bad_owner.set_uid(u64::from(u32::MAX));
    let cases: Vec<(&str, Tar)> = vec![
        ("..", Tar::default().file("../outside", b"x")),
        (".. later", Tar::default().file("a/../../outside", b"x")),
        ("hard link out", Tar::default().hard_link("x", "../outside")),
        (
            "hard link to the host's root",
            Tar::default().hard_link("x", "/etc/passwd"),
        ),
        (
            "hard link through a symlink",
            Tar::default().symlink("s", "..").hard_link("x", "s/outside"),
        ),
        (
            "hard link through an absolute symlink",
            Tar::default().symlink("s", "/etc").hard_link("x", "s/passwd"),
        ),
        (
            "hard link to a directory",
            Tar::default().directory("d").hard_link("x", "d"),
        ),
        ("hard link to the root", Tar::default().hard_link("x", "./")),
        (
            "root that is a file",
            Tar::default().file("./", b"").file(".", b"x"),
        ),
        (
            "symlink loop",
            Tar::default()
                .symlink("a", "b")
                .symlink("b", "a")
                .file("a/x", b""),
        ),
        (
            "file as directory",
            Tar::default().file("a", b"").file("a/x", b""),
        ),
        (
            "device as directory",
            Tar::default().push(block(EntryType::Char), b"").file("x/y", b""),
        ),
        ("whiteout of dot dot", Tar::default().file("a/.wh...", b"")),
        ("whiteout of nothing", Tar::default().file(".wh.", b"")),
        (
            "sparse without a map",
            Tar::default().push(block(EntryType::GNUSparse), b"x"),
        ),
        (
            "unknown type",
            Tar::default().push(block(EntryType::new(b'Z')), b""),
        ),
        ("owner -1", Tar::default().push(bad_owner, b"")),
        ("empty symlink", Tar::default().symlink("s", "")),
    ];
    for (what, tar) in cases {
        let refused = Host::new().unpack(&tar.end());
        assert!(
            matches!(refused, Err(Error::Invalid(_))) || (what == "device as directory" && refused.is_ok()),
            "{what}: {refused:?}"
        );
    }
}

#[test]
fn bombs_are_refused_in_bounded_space() {
    // 64 MiB are allowed; each of these wants more.
    let zeros = vec![0; 65 << 20];
    let big_file = gzip(&Tar::default().file("zeros", &zeros).end());
    assert!(big_file.len() < 1 << 20);
    let trailer = gzip(&[Tar::default().end(), zeros.clone()].concat());
    let mut many = Tar::default();
    for n in 0..20_000 {
        many = many.file(&n.to_string(), b"");
    }
    let mut long = Tar::default();
    long = long.push(
        Tar::header(EntryType::GNULongName, "x", "", 2 << 20),
        &vec![b'a'; 2 << 20],
    );
    for (what, tar) in [
        ("file", big_file),
        ("trailer", trailer),
        ("inodes", gzip(&many.end())),
        ("name", long.end()),
    ] {
        assert!(
            matches!(Host::new().unpack(&tar), Err(Error::Invalid(_))),
            "{what}"
        );
    }
    // A zstd frame that wants a window of 1 GiB.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0, 0];
    assert!(Host::new().unpack(&frame).is_err());
}

#[test]
fn truncated_streams_are_refused() {
    let whole = Tar::default().file("a", &[7; 5000]).file("b", b"x").end();
    let packed = gzip(&whole);
    for cut in [1, 100, 511, 600, 3000, 5000] {
        assert!(Host::new().unpack(&whole[..cut]).is_err(), "{cut}");
    }
    for cut in [5, packed.len() / 2, packed.len() - 1] {
        assert!(Host::new().unpack(&packed[..cut]).is_err(), "gzip {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Any mix of members with nasty names leaves the host alone.
    #[test]
    fn nothing_escapes(members in proptest::collection::vec((0..6u8, "(/|\\./)?(a|b|s|\\.wh\\.a|\\.\\.|\\.wh\\.\\.wh\\.\\.opq)(/(a|b|s|\\.\\.)){0,2}", "(/|\\.\\./)?(a|b|s|outside|\\.\\.)(/(a|\\.\\.))?"), 1..12)) {
        let mut tar = Tar::default();
        for (kind, name, link) in &members {
            tar = match kind {
                0 | 1 => tar.file(name, b"hostile"),
                2 => tar.directory(name),
                3 | 4 => tar.symlink(name, link),
                _ => tar.hard_link(name, link),
            };
        }
        let _ = Host::new().unpack(&tar.end());
    }
}
