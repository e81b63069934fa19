//! Images made by hand, well-formed or not.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tar::{EntryType, Header};

use super::Digest;
use super::manifest::Platform;

/// A tar with any names whatever: the crate's own builder refuses the interesting ones.
#[derive(Default, Clone)]
pub(super) struct Tar(pub Vec<u8>);

impl Tar {
    pub(super) fn header(kind: EntryType, name: &str, link: &str, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory {
            0o755
        } else {
            0o644
        });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(size);
        header.set_device_major(0).unwrap();
        header.set_device_minor(0).unwrap();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header
    }

    pub(super) fn push(mut self, mut header: Header, contents: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(contents);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(super) fn file(self, name: &str, contents: &[u8]) -> Self {
        self.push(
            Self::header(EntryType::Regular, name, "", contents.len() as u64),
            contents,
        )
    }

    pub(super) fn directory(self, name: &str) -> Self {
        self.push(Self::header(EntryType::Directory, name, "", 0), b"")
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Self {
        self.push(Self::header(EntryType::Symlink, name, target, 0), b"")
    }

    pub(super) fn hard_link(self, name: &str, target: &str) -> Self {
        self.push(Self::header(EntryType::Link, name, target, 0), b"")
    }

    /// With the two blocks of zeros at the end.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A configuration for this machine.
pub(super) fn config(layers: &[&[u8]]) -> Value {
    let host = Platform::host();
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
    json!({
        "architecture": host.architecture,
        "os": host.os,
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
}

pub(super) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()})
}

/// An OCI layout directory in the making.
pub(super) struct Layout(pub PathBuf);

impl Layout {
    pub(super) fn new(path: PathBuf) -> Self {
        std::fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        std::fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self(path)
    }

    pub(super) fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        std::fs::write(self.0.join("blobs/sha256").join(Digest::of(bytes).hex()), bytes).unwrap();
        descriptor(media_type, bytes)
    }

    /// Adds an image of plain layers, each stored as `pack` makes it. Returns its descriptor.
    pub(super) fn image(&self, layers: &[&[u8]], pack: fn(&[u8]) -> Vec<u8>) -> Value {
        let config = self.blob(
            super::manifest::CONFIG_TYPE,
            config(layers).to_string().as_bytes(),
        );
        let layers: Vec<_> = layers.iter().map(|layer| self.blob("", &pack(layer))).collect();
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        self.blob(super::manifest::MANIFEST_TYPE, manifest.to_string().as_bytes())
    }

    pub(super) fn index(&self, manifests: &Value) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        std::fs::write(self.0.join("index.json"), index.to_string()).unwrap();
    }
}

/// A tar of all files below a directory.
pub(super) fn archive(directory: &Path) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all(".", directory).unwrap();
    builder.into_inner().unwrap()
}
