//! Images made by hand, well-formed or not.

use std::fs;
use std::path::PathBuf;

use keelson_runtime::image::Digest;
use serde_json::{Value, json};
use tar::{EntryType, Header};

/// A tar with any names whatever: the crate's own builder refuses the interesting ones.
#[derive(Default, Clone)]
pub struct Tar(pub Vec<u8>);

impl Tar {
    /// Any member; `size` need not be that of its contents.
    pub fn member(mut self, kind: EntryType, name: &str, link: &str, mode: u32, contents: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(contents.len() as u64);
        header.set_device_major(8).unwrap();
        header.set_device_minor(0).unwrap();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(contents);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, name: &str, contents: &[u8]) -> Self {
        self.file_with_mode(name, contents, 0o644)
    }

    pub fn file_with_mode(self, name: &str, contents: &[u8], mode: u32) -> Self {
        self.member(EntryType::Regular, name, "", mode, contents)
    }

    pub fn directory(self, name: &str) -> Self {
        self.member(EntryType::Directory, name, "", 0o755, b"")
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.member(EntryType::Symlink, name, target, 0o777, b"")
    }

    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.member(EntryType::Link, name, target, 0o644, b"")
    }

    /// With the two blocks of zeros at the end.
    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// A configuration for this machine.
pub fn config(layers: &[&[u8]]) -> Value {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    json!({
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
}

pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": bytes.len()})
}

/// An OCI layout directory in the making.
pub struct Layout {
    pub path: PathBuf,
}

impl Layout {
    pub fn new(path: PathBuf) -> Self {
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { path }
    }

    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes).to_string();
        fs::write(self.path.join("blobs/sha256").join(&digest[7..]), bytes).unwrap();
        descriptor(media_type, bytes)
    }

    /// Adds an image of uncompressed layers. Returns its descriptor.
    pub fn image(&self, layers: &[&[u8]]) -> Value {
        self.image_of(&config(layers), layers)
    }

    /// As [`Layout::image`], with another configuration and with blobs as they are to be stored.
    pub fn image_of(&self, config: &Value, blobs: &[&[u8]]) -> Value {
        let config = self.blob(
            "application/vnd.oci.image.config.v1+json",
            config.to_string().as_bytes(),
        );
        let layers: Vec<_> = blobs
            .iter()
            .map(|blob| self.blob("application/vnd.oci.image.layer.v1.tar", blob))
            .collect();
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        self.blob(
            "application/vnd.oci.image.manifest.v1+json",
            manifest.to_string().as_bytes(),
        )
    }

    pub fn index(&self, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        fs::write(self.path.join("index.json"), index.to_string()).unwrap();
    }
}
