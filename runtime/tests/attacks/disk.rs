//! A layer that expands to fill the disk: refused at the limit, and the space given back.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;

use keelson_runtime::image::{ImageStore, Limits};

use crate::images::{Layout, config};

/// The start of a tar whose only member is `size` zeros.
fn header(size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_path("zeros").unwrap();
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A gzip stream of a tar with `size` zeros.
fn bomb(size: u64) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    packed.write_all(&header(size)).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(size + 1024), &mut packed).unwrap();
    packed.finish().unwrap()
}

/// As many small members as fit into `bytes` of a tar.
fn many_members(count: usize) -> Vec<u8> {
    let mut all = crate::images::Tar::default();
    for n in 0..count {
        all = all.directory(&format!("d{n}"));
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
    packed.write_all(&all.end()).unwrap();
    packed.finish().unwrap()
}

fn layout(place: &Path, blob: &[u8]) -> Layout {
    let layout = Layout::new(place.join("layout"));
    layout.index(&[layout.image_of(&config(&[b"what it unpacks to does not matter"]), &[blob])]);
    layout
}

/// Bytes used of the file system.
fn used(directory: &Path) -> u64 {
    let file = fs::File::open(directory).unwrap();
    let stat = nix::sys::statvfs::fstatvfs(file.as_fd()).unwrap();
    (stat.blocks() - stat.blocks_free()) * stat.fragment_size()
}

fn store(place: &Path, image_bytes: u64) -> ImageStore {
    #[allow(clippy::needless_update)] // there may be other limits one day
    let limits = Limits {
        image_bytes,
        keep_free: 8 << 20,
        ..Limits::default()
    };
    ImageStore::open_with(&place.join("store"), limits).unwrap()
}

/// 10 GB of zeros, with a limit for the image.
#[test]
fn ten_gigabytes_of_zeros() {
    let place = tempfile::tempdir().unwrap();
    let layout = layout(place.path(), &bomb(10 << 30));
    let store = store(place.path(), 64 << 20);
    let begin = std::time::Instant::now();
    let error = store.import(&layout.path, "bomb").unwrap_err().to_string();
    assert!(error.contains("more than"), "{error}");
    assert!(begin.elapsed().as_secs() < 20);
    assert_eq!(files(&place.path().join("store")), Vec::<String>::new());
}

fn files(store: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for directory in ["blobs/sha256", "layers", "tmp"] {
        let entries = fs::read_dir(store.join(directory))
            .into_iter()
            .flatten()
            .flatten();
        found.extend(entries.map(|e| e.path().display().to_string()));
    }
    found
}

/// A disk of 64 MB, really full but for what is to be left: a limit of the image beyond it is no help.
#[test]
fn a_small_disk() {
    // A mount namespace of this test's own, by way of a child that is this very test program.
    if std::env::var_os("KEELSON_ATTACK_DISK").is_none() {
        let output = Command::new("unshare")
            .args([
                "-m",
                "sh",
                "-c",
                "mkdir -p $0 && mount -t tmpfs -o size=64m,nr_inodes=4000 none $0 && exec \"$@\"",
            ])
            .arg(format!("/tmp/keelson-attack-disk-{}", std::process::id()))
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "disk::a_small_disk", "--nocapture"])
            .env(
                "KEELSON_ATTACK_DISK",
                format!("/tmp/keelson-attack-disk-{}", std::process::id()),
            )
            .output()
            .unwrap();
        let _ = fs::remove_dir(format!("/tmp/keelson-attack-disk-{}", std::process::id()));
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("given back"), "{text}");
        return;
    }
    let disk = std::path::PathBuf::from(std::env::var_os("KEELSON_ATTACK_DISK").unwrap());
    let place = tempfile::tempdir().unwrap();
    for (what, blob) in [
        ("a large file", bomb(1 << 30)),
        ("many directories", many_members(20_000)),
        (
            "a file that just fits the disk, but not what is to be left",
            bomb(60 << 20),
        ),
    ] {
        let layout = layout(place.path(), &blob);
        let store = store(&disk, 1 << 40);
        let before = used(&disk);
        let error = store.import(&layout.path, "bomb").unwrap_err().to_string();
        let after = used(&disk);
        println!("{what}: {error}: {before} used before, {after} after");
        assert!(after <= before + (64 << 10), "{what}: {before} -> {after}");
        assert!(files(&disk.join("store")).is_empty(), "{what}");
        fs::remove_dir_all(place.path().join("layout")).unwrap();
    }
    println!("given back");
}

/// A limit that lets it pass: the same kind of layer does take the space.
#[test]
fn control() {
    let place = tempfile::tempdir().unwrap();
    let plain = {
        let mut bytes = header(32 << 20);
        bytes.resize(bytes.len() + (32 << 20) + 1024, 0);
        bytes
    };
    let layout = Layout::new(place.path().join("layout"));
    layout.index(&[layout.image_of(&config(&[&plain]), &[&bomb(32 << 20)])]);
    let image = store(place.path(), 256 << 20)
        .import(&layout.path, "zeros")
        .unwrap();
    assert_eq!(
        fs::metadata(image.layers[0].join("zeros")).unwrap().len(),
        32 << 20
    );
}
