//! Layers that lead out of their directory (CVE-2021-32760, 2025-47290): `..`, absolute names, symlinked parents then
//! files, modes, hard links or whiteouts through them, device nodes, duplicate entries; one import and many at once.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use keelson_runtime::image::{ImageStore, Limits};
use tar::EntryType;

use crate::images::{Layout, Tar};
use crate::witness::Treasure;

/// A store and a treasure beside it.
struct Place {
    directory: tempfile::TempDir,
    treasure: Treasure,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let treasure = Treasure::in_directory(directory.path());
        Self { directory, treasure }
    }

    fn store(&self) -> ImageStore {
        #[allow(clippy::needless_update)] // there may be other limits one day
        let limits = Limits {
            image_bytes: 64 << 20,
            keep_free: 0,
            ..Limits::default()
        };
        ImageStore::open_with(&self.directory.path().join("store"), limits).unwrap()
    }

    fn layout(&self, name: &str, layers: &[Vec<u8>]) -> Layout {
        let layout = Layout::new(self.directory.path().join(name));
        let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
        layout.index(&[layout.image(&layers)]);
        layout
    }
}

/// Every layer that tries to reach the treasure, by one way or another.
fn hostile(treasure: &Treasure) -> Vec<(String, Vec<Vec<u8>>)> {
    let inside = treasure.path.to_str().unwrap();
    let climbing = treasure.climbing();
    let mut all: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    let mut add = |what: &str, layers: &[&Tar]| {
        all.push((
            what.to_owned(),
            layers.iter().map(|layer| (*layer).clone().end()).collect(),
        ));
    };
    for path in [
        format!("{inside}/new"),
        format!("{climbing}/new"),
        format!("a/{climbing}/new"),
        format!("./{climbing}/new"),
    ] {
        add("a file", &[&Tar::default().file(&path, b"pwned")]);
        add("a directory", &[&Tar::default().directory(&path)]);
        add("a symlink", &[&Tar::default().symlink(&path, "/etc/passwd")]);
        add(
            "a device",
            &[&Tar::default().member(EntryType::Block, &path, "", 0o666, b"")],
        );
        add(
            "a fifo",
            &[&Tar::default().member(EntryType::Fifo, &path, "", 0o666, b"")],
        );
    }
    for target in [inside, &climbing, &format!("../{climbing}")] {
        let link = Tar::default().symlink("link", target);
        for (what, second) in [
            ("a file", Tar::default().file("link/new", b"pwned")),
            ("an existing file", Tar::default().file("link/witness", b"pwned")),
            (
                "a mode",
                Tar::default().member(EntryType::Directory, "link/", "", 0o777, b""),
            ),
            (
                "a mode below",
                Tar::default().member(EntryType::Directory, "link/deep", "", 0o777, b""),
            ),
            (
                "a hard link out",
                Tar::default()
                    .hard_link("mine", "link/witness")
                    .file("mine", b"pwned"),
            ),
            (
                "a hard link in",
                Tar::default().file("file", b"").hard_link("link/new", "file"),
            ),
            ("a whiteout", Tar::default().file("link/.wh.witness", b"")),
            (
                "an opaque directory",
                Tar::default().file("link/.wh..wh..opq", b""),
            ),
            (
                "a device",
                Tar::default().member(EntryType::Char, "link/new", "", 0o666, b""),
            ),
            ("a file over it", Tar::default().file("link", b"pwned")),
            ("a deep directory", Tar::default().directory("link/a/b/c")),
        ] {
            // In the same layer, and in the one above.
            let mut same = link.clone();
            same.0.extend_from_slice(&second.0);
            add(&format!("{what} behind a symlink"), &[&same]);
            add(
                &format!("{what} behind a lower layer's symlink"),
                &[&link, &second],
            );
        }
        // Duplicates: a directory that becomes a symlink while its files follow, and back.
        let swapped = Tar::default()
            .directory("d")
            .file("d/x", b"")
            .symlink("d", target)
            .file("d/new", b"pwned");
        add("a directory replaced by a symlink", &[&swapped]);
        let twice = Tar::default()
            .symlink("s", target)
            .symlink("s", "d")
            .directory("d")
            .file("s/new", b"")
            .symlink("s", target)
            .file("s/new", b"pwned");
        add("a symlink that changes", &[&twice]);
        let chain = Tar::default()
            .symlink("a", "b")
            .symlink("b", "c")
            .symlink("c", target)
            .file("a/new", b"pwned");
        add("a chain of symlinks", &[&chain]);
        let through = Tar::default()
            .symlink("file", &format!("{target}/witness"))
            .file("file", b"pwned");
        add("a file over a symlink to a file", &[&through]);
        let hard = Tar::default().hard_link("stolen", &format!("{target}/witness"));
        add("a hard link by name", &[&hard]);
    }
    for name in [
        ".wh...",
        ".wh..",
        "a/.wh...",
        ".wh.",
        ".wh..wh.",
        ".wh...wh..opq",
        ".wh./",
        ".wh.a/b",
    ] {
        add(
            "a whiteout of a parent",
            &[&Tar::default().directory("a").file(name, b"")],
        );
    }
    add("itself", &[&Tar::default().hard_link("a", "a")]);
    add(
        "a loop",
        &[&Tar::default()
            .symlink("a", "b")
            .symlink("b", "a")
            .file("a/x", b"")],
    );
    all
}

/// The store keeps to its directory: nothing else changed, and no unpacked file is one of the host's.
fn check(place: &Place, what: &str) {
    place.treasure.check(what);
    let secret = fs::metadata(place.treasure.file("witness")).unwrap();
    assert_eq!(secret.nlink(), 1, "{what}: a hard link to the host's file");
    let mut rest: Vec<_> = fs::read_dir(place.directory.path())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    rest.retain(|name| {
        name != "store" && name != "treasure" && !name.to_string_lossy().starts_with("layout")
    });
    assert!(rest.is_empty(), "{what}: {rest:?}");
}

#[test]
fn stay_in_their_directory() {
    let place = Place::new();
    let (mut refused, mut confined) = (0, 0);
    for (number, (what, layers)) in hostile(&place.treasure).iter().enumerate() {
        let layout = place.layout(&format!("layout-{number}"), layers);
        let store = place.store();
        match store.import(&layout.path, &format!("evil:{number}")) {
            Ok(image) => {
                confined += 1;
                for layer in &image.layers {
                    no_link_out(layer, &place, what);
                }
            }
            Err(_) => refused += 1,
        }
        check(&place, what);
    }
    println!("{refused} refused, {confined} confined");
    assert!(refused > 20 && confined > 20);
}

/// No file below is a link to the host's.
fn no_link_out(directory: &Path, place: &Place, what: &str) {
    let secret = fs::metadata(place.treasure.file("witness")).unwrap();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let metadata = fs::symlink_metadata(entry.path()).unwrap();
        assert!(
            (metadata.dev(), metadata.ino()) != (secret.dev(), secret.ino()),
            "{what}: {} is the host's",
            entry.path().display()
        );
        if metadata.is_dir() {
            no_link_out(&entry.path(), place, what);
        }
    }
}

/// The same from several processes' worth of threads into one store, which shares the layers between them.
#[test]
fn stay_there_when_raced() {
    let place = Place::new();
    let hostile = hostile(&place.treasure);
    let layouts: Vec<Layout> = hostile
        .iter()
        .enumerate()
        .map(|(number, (_, layers))| place.layout(&format!("layout-{number}"), layers))
        .collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (place, layouts) = (&place, &layouts);
            scope.spawn(move || {
                let store = place.store();
                for (number, layout) in layouts.iter().enumerate() {
                    let name = format!("evil:{thread}-{number}");
                    if store.import(&layout.path, &name).is_ok() && number % 2 == 0 {
                        let _ = store.remove(&name);
                    }
                }
            });
        }
    });
    check(&place, "raced imports");
}

/// Unpacked with a plain tar, some of these do reach the treasure.
#[test]
fn control() {
    let place = Place::new();
    let into = place.directory.path().join("layout-naive");
    for (what, layers) in hostile(&place.treasure) {
        let _ = fs::remove_dir_all(&into);
        fs::create_dir(&into).unwrap();
        for layer in layers {
            naive(&into, &layer);
        }
        if place.treasure.damage().is_some()
            || fs::metadata(place.treasure.file("witness")).unwrap().nlink() > 1
        {
            println!("naive unpacking falls to {what}");
            return;
        }
    }
    panic!("no layer is hostile");
}

/// An unpacker that joins names to its directory.
fn naive(into: &Path, layer: &[u8]) {
    for mut entry in tar::Archive::new(layer).entries().unwrap().flatten() {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = into.join(name.trim_start_matches('/'));
        let link = entry
            .link_name()
            .unwrap()
            .map(std::borrow::Cow::into_owned)
            .unwrap_or_default();
        let _ = match entry.header().entry_type() {
            EntryType::Directory => fs::create_dir_all(&path),
            EntryType::Symlink => std::os::unix::fs::symlink(link, &path),
            EntryType::Link => fs::hard_link(into.join(link), &path),
            EntryType::Regular => entry.unpack(&path).map(drop),
            _ => Ok(()),
        };
    }
}

/// Set-user-id files and device nodes are kept as they are, out of reach, and mean nothing in the store.
#[test]
fn special_files_are_kept_confined() {
    let place = Place::new();
    let layer = Tar::default()
        .file_with_mode("su", b"#!", 0o4755)
        .member(EntryType::Block, "disk", "", 0o666, b"")
        .member(EntryType::Fifo, "pipe", "", 0o666, b"")
        .end();
    let layout = place.layout("layout", &[layer]);
    match place.store().import(&layout.path, "special") {
        Ok(image) => {
            let root = &image.layers[0];
            assert_eq!(
                fs::metadata(root.join("su")).unwrap().permissions().mode() & 0o7777,
                0o4755
            );
            let disk = fs::symlink_metadata(root.join("disk"));
            assert!(disk.is_err() || disk.unwrap().file_type().is_block_device());
        }
        Err(error) => println!("refused: {error}"),
    }
    assert_eq!(
        fs::metadata(place.directory.path().join("store")).unwrap().mode() & 0o077,
        0
    );
}
