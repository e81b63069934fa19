//! An image store with something beside it that must not change.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use keelson_runtime::image::{Digest, ImageStore, Limits};
use serde_json::{Value, json};

/// Bytes that one image may take.
const LIMIT: u64 = 8 << 20;

pub struct Place {
    directory: tempfile::TempDir,
    store: ImageStore,
    pub treasure: PathBuf,
}

/// Name, size, mode, link count and contents of everything below, in order.
fn census(directory: &Path) -> Vec<(PathBuf, u64, u32, u64)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let metadata = fs::symlink_metadata(entry.path()).unwrap();
        all.push((entry.path(), metadata.size(), metadata.mode(), metadata.nlink()));
        if metadata.is_dir() {
            all.extend(census(&entry.path()));
        }
    }
    all.sort();
    all
}

fn size(directory: &Path) -> u64 {
    census(directory)
        .iter()
        .map(|(path, ..)| fs::symlink_metadata(path).map_or(0, |m| m.blocks() * 512))
        .sum()
}

impl Place {
    /// In memory where the machine lets us: the store waits for its disk.
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let directory = tempfile::Builder::new()
            .prefix("keelson-fuzz-")
            .tempdir_in(parent)
            .unwrap();
        let treasure = directory.path().join("treasure");
        fs::create_dir_all(treasure.join("a")).unwrap();
        fs::write(treasure.join("witness"), "unchanged").unwrap();
        symlink("witness", treasure.join("b")).unwrap();
        #[allow(clippy::needless_update)] // there may be other limits one day
        let limits = Limits {
            image_bytes: LIMIT,
            keep_free: 0,
            ..Limits::default()
        };
        let store = ImageStore::open_with(&directory.path().join("store"), limits).unwrap();
        Self {
            directory,
            store,
            treasure,
        }
    }

    fn blob(&self, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes).to_string();
        let blobs = self.directory.path().join("layout/blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        fs::write(blobs.join(&digest[7..]), bytes).unwrap();
        json!({"mediaType": "", "digest": digest, "size": bytes.len()})
    }

    /// Imports a layout with these layers; `documents` may replace the configuration, the manifest and the index, where
    /// the words `CONFIG`, `LAYER` and `MANIFEST` stand for descriptors of what is there. Returns whether it became an
    /// image.
    pub fn import(&self, layers: &[&[u8]], documents: &Value) -> bool {
        let before = (
            census(&self.treasure),
            fs::read(self.treasure.join("witness")).unwrap(),
        );
        let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
        let blobs: Vec<_> = layers.iter().map(|layer| self.blob(layer)).collect();
        let fill = |document: &Value, replace: &[(&str, Value)]| fill(document.clone(), replace);
        let config = fill(&documents["config"], &[("DIFF_IDS", json!(diff_ids))]);
        let config = self.blob(config.to_string().as_bytes());
        let layer = blobs.first().cloned().unwrap_or_default();
        let replace = [("CONFIG", config), ("LAYERS", json!(blobs)), ("LAYER", layer)];
        let manifest = self.blob(fill(&documents["manifest"], &replace).to_string().as_bytes());
        let index = fill(&documents["index"], &[("MANIFEST", manifest)]);
        let layout = self.directory.path().join("layout");
        fs::write(layout.join("index.json"), index.to_string()).unwrap();
        fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();

        let imported = self.store.import(&layout, "fuzz:1");
        fs::remove_dir_all(&layout).unwrap();
        let root = self.directory.path().join("store");
        assert!(size(&root) < 4 * LIMIT, "the store takes {}", size(&root));
        let good = match imported {
            Ok(image) => {
                for layer in &image.layers {
                    self.check_layer(layer);
                }
                self.store.remove_by_force("fuzz:1").unwrap();
                true
            }
            Err(error) => {
                assert!(error.to_string().len() < 4096, "a long message");
                false
            }
        };
        for directory in ["blobs/sha256", "layers", "tmp"] {
            let left = fs::read_dir(root.join(directory)).into_iter().flatten().count();
            assert_eq!(left, 0, "{left} files left in {directory}");
        }
        let after = (
            census(&self.treasure),
            fs::read(self.treasure.join("witness")).unwrap(),
        );
        assert_eq!(after, before, "something outside changed");
        let beside = fs::read_dir(self.directory.path()).unwrap().flatten();
        let beside: Vec<_> = beside
            .map(|e| e.file_name())
            .filter(|name| name != "store" && name != "treasure")
            .collect();
        assert!(beside.is_empty(), "made outside: {beside:?}");
        good
    }

    /// No file of an unpacked layer is one of ours, or another kind of thing than a layer may have.
    fn check_layer(&self, layer: &Path) {
        let ours = fs::metadata(self.treasure.join("witness")).unwrap();
        for (path, ..) in census(layer) {
            let metadata = fs::symlink_metadata(&path).unwrap();
            assert!(
                (metadata.dev(), metadata.ino()) != (ours.dev(), ours.ino()),
                "{} is ours",
                path.display()
            );
        }
    }
}

/// Puts values in the place of words.
fn fill(value: Value, replace: &[(&str, Value)]) -> Value {
    match value {
        Value::String(text) => match replace.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => value.clone(),
            None => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(|item| fill(item, replace)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, field)| (key, fill(field, replace)))
            .collect(),
        other => other,
    }
}

/// Documents of a good image with any layers.
pub fn documents() -> Value {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "config": {"architecture": architecture, "os": "linux", "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": "DIFF_IDS"}},
        "manifest": {"schemaVersion": 2, "config": "CONFIG", "layers": "LAYERS"},
        "index": {"schemaVersion": 2, "manifests": ["MANIFEST"]},
    })
}
