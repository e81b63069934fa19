//! The store as a whole; what is about one of its parts is in a file of its own.

mod check;
mod export;
mod hostile;
mod kill;
mod leases;

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::*;
use crate::image::fixture::{self, Layout, Tar, archive, gzip};

/// Makes a hostile image.
type Make<'a> = Box<dyn Fn(&Layout) + 'a>;

struct Place {
    directory: tempfile::TempDir,
    store: ImageStore,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits {
            image_bytes: 64 << 20,
            keep_free: 0,
        };
        let store = ImageStore::open_with(&directory.path().join("store"), limits).unwrap();
        Self { directory, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn layout(&self) -> Layout {
        Layout::new(self.path("layout"))
    }

    /// Another store, as on another machine.
    fn other_store(&self) -> ImageStore {
        ImageStore::open(&self.path("other-store")).unwrap()
    }

    /// Files of the store besides the index and the lock.
    fn files(&self) -> Vec<PathBuf> {
        [self.store.blobs(), self.store.layers(), self.store.temporary()]
            .iter()
            .flat_map(|directory| {
                fs::read_dir(directory)
                    .unwrap()
                    .map(|entry| entry.unwrap().path())
            })
            .collect()
    }
}

fn plain(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn base() -> Vec<u8> {
    Tar::default()
        .directory("./")
        .directory("bin")
        .file("bin/sh", b"shell")
        .end()
}

fn top() -> Vec<u8> {
    Tar::default()
        .file("etc/motd", b"hello")
        .file("bin/.wh.sh", b"")
        .end()
}

#[test]
fn layouts_with_every_compression() {
    for pack in [plain, gzip, zstd] {
        let place = Place::new();
        let layout = place.layout();
        let image = layout.image(&[&base(), &top()], pack);
        layout.index(&json!([image]));
        let image = place.store.import(&layout.0, "busybox").unwrap();
        assert_eq!(image.tags, ["docker.io/library/busybox:latest"]);
        assert_eq!(image.layers.len(), 2);
        assert_eq!(fs::read(image.layers[0].join("bin/sh")).unwrap(), b"shell");
        assert_eq!(fs::read(image.layers[1].join("etc/motd")).unwrap(), b"hello");
        assert_eq!(
            image.config.config().as_ref().unwrap().cmd().as_ref().unwrap(),
            &["sh"]
        );
        assert!(image.size > 0);
        for name in [
            "busybox",
            "busybox:latest",
            &image.id,
            &image.id[7..],
            &image.digests[0],
        ] {
            assert_eq!(place.store.get(name).unwrap().unwrap().id, image.id, "{name}");
        }
        assert!(place.store.get("busybox:other").unwrap().is_none());
        // The same once more changes nothing.
        let before = place.files();
        assert_eq!(place.store.import(&layout.0, "busybox").unwrap().id, image.id);
        assert_eq!(place.files(), before);
        assert_eq!(place.store.list().unwrap().len(), 1);
    }
}

#[test]
fn oci_archives_compressed_or_not() {
    for pack in [plain, gzip, zstd] {
        let place = Place::new();
        let layout = place.layout();
        let mut image = layout.image(&[&base()], gzip);
        image["annotations"] = json!({"org.opencontainers.image.ref.name": "example.com/shell:1"});
        layout.index(&json!([image]));
        let path = place.path("archive.tar");
        fs::write(&path, pack(&archive(&layout.0))).unwrap();
        let image = place.store.import(&path, "").unwrap();
        assert_eq!(image.tags, ["example.com/shell:1"]);
        assert_eq!(place.store.import(&path, "other:2").unwrap().tags.len(), 2);
    }
}

fn docker_archive(layer_link: bool) -> Vec<u8> {
    let (base, top) = (base(), top());
    let config = fixture::config(&[&base, &top]).to_string();
    let manifest = json!([{"Config": "c.json", "RepoTags": ["shell:1", "shell:2"], "Layers": ["a/layer.tar", "b/layer.tar"]}]);
    let tar = Tar::default()
        .file("c.json", config.as_bytes())
        .file("b/layer.tar", &top);
    let tar = if layer_link {
        tar.file("z/layer.tar", &base)
            .directory("a/")
            .symlink("a/layer.tar", "../z/layer.tar")
    } else {
        tar.file("a/layer.tar", &base)
    };
    tar.file("manifest.json", manifest.to_string().as_bytes()).end()
}

#[test]
fn docker_archives() {
    for layer_link in [false, true] {
        let place = Place::new();
        let path = place.path("docker.tar");
        fs::write(&path, docker_archive(layer_link)).unwrap();
        let image = place.store.import(&path, "").unwrap();
        assert_eq!(
            image.tags,
            ["docker.io/library/shell:1", "docker.io/library/shell:2"]
        );
        assert_eq!(fs::read(image.layers[1].join("etc/motd")).unwrap(), b"hello");
    }
}

#[test]
fn bundles_become_images() {
    let place = Place::new();
    let bundle = place.path("bundle");
    fs::create_dir_all(bundle.join("rootfs/bin")).unwrap();
    fs::write(bundle.join("rootfs/bin/sh"), "shell").unwrap();
    fs::set_permissions(bundle.join("rootfs/bin/sh"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::hard_link(bundle.join("rootfs/bin/sh"), bundle.join("rootfs/bin/zsh")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", bundle.join("rootfs/link")).unwrap();
    let config = json!({
        "ociVersion": "1.0.2", "root": {"path": "rootfs"},
        "process": {"args": ["/bin/sh", "-c", "true"], "env": ["A=b"], "cwd": "/tmp", "user": {"uid": 5, "gid": 6}},
    });
    fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    let image = place.store.import(&bundle, "example.com/bundle:v1").unwrap();
    let process = image.config.config().clone().unwrap();
    assert_eq!(process.cmd().as_ref().unwrap(), &["/bin/sh", "-c", "true"]);
    assert_eq!(process.env().as_ref().unwrap(), &["A=b"]);
    assert_eq!(process.working_dir().as_deref(), Some("/tmp"));
    assert_eq!(process.user().as_deref(), Some("5:6"));
    let shell = fs::metadata(image.layers[0].join("bin/sh")).unwrap();
    assert_eq!(shell.permissions().mode() & 0o7777, 0o4711);
    assert_eq!(fs::read(image.layers[0].join("bin/zsh")).unwrap(), b"shell");
    assert_eq!(
        fs::read_link(image.layers[0].join("link")).unwrap(),
        Path::new("/etc/passwd")
    );
    assert_eq!(
        place.store.import(&bundle, "again").unwrap().id,
        image.id,
        "packing is deterministic"
    );
}

#[test]
fn names_move_and_shared_layers_stay() {
    let place = Place::new();
    let layout = place.layout();
    layout.index(&json!([layout.image(&[&base()], gzip)]));
    let one = place.store.import(&layout.0, "shell").unwrap();
    layout.index(&json!([layout.image(&[&base(), &top()], gzip)]));
    let two = place.store.import(&layout.0, "shell").unwrap();
    assert_eq!(one.layers[0], two.layers[0]);
    assert_eq!(place.store.get("shell").unwrap().unwrap().id, two.id);
    assert!(place.store.get(&one.id).unwrap().unwrap().tags.is_empty());
    place.store.import(&layout.0, "second").unwrap();

    place.store.remove("shell").unwrap();
    assert!(place.store.get("shell").unwrap().is_none());
    assert!(place.store.get("second").unwrap().is_some());
    place.store.remove("second").unwrap();
    assert!(one.layers[0].is_dir() && !two.layers[1].exists());
    place.store.remove(&one.id).unwrap();
    assert!(place.files().is_empty(), "{:?}", place.files());
    assert!(matches!(place.store.remove("shell"), Err(Error::NotFound(_))));
}

#[test]
fn rubbish_of_killed_processes_is_removed_and_work_in_progress_is_not() {
    let place = Place::new();
    fs::create_dir_all(place.store.temporary().join("dead/layer-x/diff")).unwrap();
    fs::write(place.store.temporary().join("dead-file"), "").unwrap();
    fs::write(place.store.blobs().join("half"), "").unwrap();
    fs::create_dir_all(place.store.layers().join("unnamed/diff")).unwrap();
    let alive = place.store.staging().unwrap();
    ImageStore::open(&place.store.root).unwrap();
    assert_eq!(place.files(), [alive.path()]);
}

#[test]
fn several_at_once() {
    let place = Place::new();
    let layout = place.layout();
    layout.index(&json!([layout.image(&[&base(), &top()], gzip)]));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (place, layout) = (&place, &layout);
            scope.spawn(move || {
                let store = ImageStore::open(&place.store.root).unwrap();
                for round in 0..5 {
                    let name = format!("image:{thread}-{round}");
                    let image = store.import(&layout.0, &name).unwrap();
                    assert!(image.layers.iter().all(|layer| layer.is_dir()));
                    store.remove(&name).unwrap();
                }
            });
        }
    });
    assert!(place.files().is_empty(), "{:?}", place.files());
}

/// A child of the next test: one import, and how much memory it took.
#[test]
#[ignore = "run by an_import_takes_little_memory"]
fn child_that_is_measured() {
    let directory = PathBuf::from(std::env::var_os("KEELSON_IMAGE_TEST").unwrap());
    let store = ImageStore::open(&directory.join("store")).unwrap();
    store.import(&directory.join("layout"), "large").unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    println!("peak {} kB", peak.trim().trim_end_matches(" kB"));
}

/// Eight layers of 24 MiB and 20,000 files in a thousand directories: the peak is that of an empty process and a few MiB
/// a worker. A zstd layer may want its window, 32 MiB, besides.
#[test]
fn an_import_takes_little_memory() {
    let peak = |layers: &[Vec<u8>], pack: fn(&[u8]) -> Vec<u8>| {
        let place = Place::new();
        let layout = place.layout();
        let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
        layout.index(&json!([layout.image(&layers, pack)]));
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "image::store::tests::child_that_is_measured",
                "--ignored",
                "--nocapture",
            ])
            .env("KEELSON_IMAGE_TEST", place.directory.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let words = said.split("peak ").nth(1).unwrap_or_else(|| panic!("{output:?}"));
        words.split(' ').next().unwrap().parse::<u64>().unwrap() / 1024
    };
    let mut layers: Vec<Vec<u8>> = (0..8u8)
        .map(|layer| {
            Tar::default()
                .file(&format!("large{layer}"), &vec![layer + 1; 24 << 20])
                .end()
        })
        .collect();
    let many = (0..20_000).fold(Tar::default(), |tar, n| {
        tar.file(&format!("d{}/f{n}", n / 20), b"x")
    });
    layers.push(many.end());
    let empty = peak(&[base()], gzip);
    let large = peak(&layers, gzip);
    eprintln!("peak of an import: {empty} MiB for an empty image, {large} MiB for nine layers of 200 MiB");
    assert!(large < empty + 24, "{large} MiB, {empty} MiB for an empty image");
    let wide: fn(&[u8]) -> Vec<u8> = |bytes| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(25).unwrap();
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    let wide = peak(&layers[..4], wide);
    eprintln!("{wide} MiB for four layers with windows of 32 MiB");
    assert!(wide < empty + 24 + 4 * 32, "{wide} MiB");
}
