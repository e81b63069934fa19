//! Documents of an image that contradict themselves or are too much (CVE-2021-41190, 2023-25153): refused, in bounded
//! memory and time.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use keelson_runtime::image::ImageStore;
use serde_json::{Value, json};

use crate::images::{Layout, Tar, config, descriptor};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Most memory that reading a hostile image may take, beyond what the process has.
const MEMORY: u64 = 96 << 20;
/// Most time.
const TIME: Duration = Duration::from_secs(20);

/// Peak resident memory of this process.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Forgets the peak.
fn reset_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// Imports and expects a refusal within bounds that leaves the store empty.
fn refused(what: &str, make: impl FnOnce(&Path) -> std::path::PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let source = make(place.path());
    let root = place.path().join("store");
    let store = ImageStore::open(&root).unwrap();
    reset_peak();
    let (begin, before) = (Instant::now(), peak());
    let result = store.import(&source, "evil");
    let (time, memory) = (begin.elapsed(), peak().saturating_sub(before));
    let message = match result {
        Ok(image) => panic!("{what}: became {}", image.id),
        Err(error) => error.to_string(),
    };
    println!("{what}: {time:?}, {} KiB: {message:.120}", memory >> 10);
    assert!(
        message.len() < 4096,
        "{what}: a message of {} bytes",
        message.len()
    );
    assert!(time < TIME && memory < MEMORY, "{what}: {time:?}, {memory} bytes");
    assert!(store.list().unwrap().is_empty(), "{what}");
    for directory in ["blobs", "layers", "tmp"] {
        let left = walk(&root.join(directory));
        assert!(left == 0, "{what}: {left} files left in {directory}");
    }
}

fn walk(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|e| if e.path().is_dir() { walk(&e.path()) } else { 1 })
        .sum()
}

fn layer() -> Vec<u8> {
    Tar::default().file("file", b"contents").end()
}

/// A layout with the manifest that `change` makes of a good one.
fn with_manifest(change: impl Fn(&mut Value, &Layout)) -> impl FnOnce(&Path) -> std::path::PathBuf {
    move |place| {
        let layout = Layout::new(place.join("layout"));
        let layer = layer();
        let config = layout.blob(
            "application/vnd.oci.image.config.v1+json",
            config(&[&layer]).to_string().as_bytes(),
        );
        let layers = [layout.blob("application/vnd.oci.image.layer.v1.tar", &layer)];
        let mut manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        change(&mut manifest, &layout);
        layout.index(&[layout.blob(MANIFEST, manifest.to_string().as_bytes())]);
        layout.path
    }
}

fn with_index(change: impl Fn(&mut Vec<Value>, &Layout)) -> impl FnOnce(&Path) -> std::path::PathBuf {
    move |place| {
        let layout = Layout::new(place.join("layout"));
        let layer = layer();
        let mut manifests = vec![layout.image(&[&layer])];
        change(&mut manifests, &layout);
        layout.index(&manifests);
        layout.path
    }
}

/// The control: what all of these are made from is a good image.
#[test]
fn control() {
    let place = tempfile::tempdir().unwrap();
    let source = with_manifest(|_, _| {})(place.path());
    let store = ImageStore::open(&place.path().join("store")).unwrap();
    assert_eq!(store.import(&source, "good").unwrap().layers.len(), 1);
    let place = tempfile::tempdir().unwrap();
    let source = with_index(|_, _| {})(place.path());
    let store = ImageStore::open(&place.path().join("store")).unwrap();
    assert_eq!(store.import(&source, "good").unwrap().layers.len(), 1);
}

/// One document that is two things, and declarations that do not fit.
#[test]
fn contradictions() {
    refused(
        "manifests and layers",
        with_manifest(|m, _| m["manifests"] = json!([])),
    );
    refused(
        "manifests and layers, both full",
        with_manifest(|m, _| m["manifests"] = m["layers"].clone()),
    );
    refused(
        "an index that calls itself a manifest",
        with_manifest(|m, _| m["mediaType"] = json!(INDEX)),
    );
    refused(
        "an unknown type",
        with_manifest(|m, _| m["mediaType"] = json!("text/plain")),
    );
    refused(
        "schema version 1",
        with_manifest(|m, _| m["schemaVersion"] = json!(1)),
    );
    refused(
        "a wrong size of a layer",
        with_manifest(|m, _| m["layers"][0]["size"] = json!(1)),
    );
    refused(
        "a negative size",
        with_manifest(|m, _| m["layers"][0]["size"] = json!(-1)),
    );
    refused(
        "an enormous size",
        with_manifest(|m, _| m["layers"][0]["size"] = json!(u64::MAX)),
    );
    refused(
        "a wrong size of the configuration",
        with_manifest(|m, _| m["config"]["size"] = json!(3)),
    );
    refused(
        "another's digest",
        with_manifest(|m, _| m["layers"][0]["digest"] = m["config"]["digest"].clone()),
    );
    refused(
        "a digest that is a path",
        with_manifest(|m, _| m["layers"][0]["digest"] = json!("sha256:../../../../etc/passwd")),
    );
    refused(
        "a short digest",
        with_manifest(|m, _| m["layers"][0]["digest"] = json!("sha256:00")),
    );
    refused(
        "an unknown hash",
        with_manifest(|m, _| m["layers"][0]["digest"] = json!(format!("md5:{}", "0".repeat(32)))),
    );
    refused(
        "a missing layer",
        with_manifest(|m, _| m["layers"][0] = descriptor("layer", b"absent")),
    );
    refused(
        "a layer too many",
        with_manifest(|m, _| m["layers"] = json!([m["layers"][0], m["layers"][0]])),
    );
    refused("a layer too few", with_manifest(|m, _| m["layers"] = json!([])));
    refused(
        "a manifest as its own layer",
        with_index(|all, layout| {
            let own = all[0].clone();
            *all = vec![
                layout.blob(
                    MANIFEST,
                    json!({"schemaVersion": 2, "config": own, "layers": [own]})
                        .to_string()
                        .as_bytes(),
                ),
            ];
        }),
    );
    refused(
        "a wrong size of the manifest",
        with_index(|all, _| all[0]["size"] = json!(2)),
    );
    refused("a layer whose bytes were changed", |place| {
        let path = with_manifest(|_, _| {})(place);
        let digest = keelson_runtime::image::Digest::of(&layer()).to_string();
        let mut changed = layer();
        changed[600] ^= 1;
        fs::write(path.join("blobs/sha256").join(&digest[7..]), changed).unwrap();
        path
    });
}

/// Too much of everything.
#[test]
fn excess() {
    const GIGABYTE: u64 = 1 << 30;
    refused("an index.json of a gigabyte", |place| {
        let path = with_index(|_, _| {})(place);
        File::options()
            .write(true)
            .open(path.join("index.json"))
            .unwrap()
            .set_len(GIGABYTE)
            .unwrap();
        path
    });
    refused("a manifest of a gigabyte", |place| {
        let layout = Layout::new(place.join("layout"));
        let mut blob = layout.blob(MANIFEST, b"{}");
        let digest = blob["digest"].as_str().unwrap().to_owned();
        let file = File::options()
            .write(true)
            .open(layout.path.join("blobs/sha256").join(&digest[7..]))
            .unwrap();
        file.set_len(GIGABYTE).unwrap();
        blob["size"] = json!(GIGABYTE);
        layout.index(&[blob]);
        layout.path
    });
    refused(
        "a configuration of a gigabyte",
        with_manifest(|m, layout| {
            let digest = m["config"]["digest"].as_str().unwrap();
            let file = File::options()
                .write(true)
                .open(layout.path.join("blobs/sha256").join(&digest[7..]))
                .unwrap();
            file.set_len(GIGABYTE).unwrap();
            m["config"]["size"] = json!(GIGABYTE);
        }),
    );
    refused(
        "10,000 layers",
        with_manifest(|m, _| m["layers"] = json!(vec![m["layers"][0].clone(); 10_000])),
    );
    refused(
        "annotations of 100 MB",
        with_manifest(|m, _| m["annotations"] = json!({"a": "x".repeat(100 << 20)})),
    );
    refused("deep nesting of JSON", |place| {
        let path = with_index(|_, _| {})(place);
        fs::write(path.join("index.json"), "[".repeat(1 << 20)).unwrap();
        path
    });
    refused(
        "deep indexes",
        with_index(|all, layout| {
            for _ in 0..1000 {
                let index = json!({"schemaVersion": 2, "manifests": all});
                *all = vec![layout.blob(INDEX, index.to_string().as_bytes())];
            }
        }),
    );
}

/// An archive whose first member claims, and has, a gigabyte of metadata.
#[test]
fn excess_in_archives() {
    for (what, kind, name) in [
        (
            "a long name of a gigabyte",
            tar::EntryType::GNULongName,
            "././@LongLink",
        ),
        (
            "a long link of a gigabyte",
            tar::EntryType::GNULongLink,
            "././@LongLink",
        ),
        ("a pax header of a gigabyte", tar::EntryType::XHeader, "pax"),
        (
            "a global pax header of a gigabyte",
            tar::EntryType::XGlobalHeader,
            "pax",
        ),
    ] {
        refused(what, |place| {
            let path = place.join("archive.tar");
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(1 << 30);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            let mut file = File::create(&path).unwrap();
            file.write_all(header.as_bytes()).unwrap();
            file.seek(SeekFrom::Start(512 + (1 << 30))).unwrap();
            file.write_all(&Tar::default().file("index.json", b"{}").end())
                .unwrap();
            path
        });
    }
    for (what, name) in [
        ("an index.json", "index.json"),
        ("a manifest.json", "manifest.json"),
    ] {
        refused(&format!("{what} of a gigabyte in an archive"), |place| {
            let path = place.join("archive.tar");
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(1 << 30);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_path(name).unwrap();
            header.set_cksum();
            let mut file = File::create(&path).unwrap();
            file.write_all(header.as_bytes()).unwrap();
            file.seek(SeekFrom::Start(512 + (1 << 30))).unwrap();
            file.write_all(&[0; 1024]).unwrap();
            path
        });
    }
    refused("a million empty members", |place| {
        let path = place.join("archive.tar");
        let mut file = std::io::BufWriter::new(File::create(&path).unwrap());
        let member = Tar::default().file("x", b"").0;
        for _ in 0..1_000_000 {
            file.write_all(&member).unwrap();
        }
        drop(file);
        path
    });
}
