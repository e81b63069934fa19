//! Writing images into one archive: an OCI layout, or what `docker load` has always read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};

use serde_json::json;
use tar::{Builder, EntryType, Header};

use super::ImageStore;
use super::index::{Index, Record};
use super::lease::Lease;
use super::staging::Staging;
use super::transfer::StoredManifest;
use crate::image::digest::Hashing;
use crate::image::{Digest, Error, Reference, compression, manifest, source};

/// Forms of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archive {
    /// OCI image layout in a tar: every byte as it was pulled, so that digests stay.
    Oci,
    /// `docker save`: `manifest.json` and unpacked layers. The manifest, and with it the digest, is made anew by who
    /// reads it.
    Docker,
}

/// One image on its way out.
struct Item {
    id: Digest,
    record: Record,
    stored: StoredManifest,
    /// Names it is to have in the archive.
    names: Vec<String>,
}

impl ImageStore {
    /// Writes images into an archive; the same images make the same archive. Every blob is verified on its way.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a blob is not what its digest says: what was written until then is of no use.
    pub fn export(&self, references: &[String], form: Archive, to: impl Write) -> Result<(), Error> {
        let index = Index::load(&self.root)?;
        let staging = self.staging()?;
        let mut items: Vec<Item> = Vec::new();
        for reference in references {
            let (id, record) = index
                .find(reference)?
                .ok_or_else(|| Error::NotFound(reference.clone()))?;
            let names: Vec<String> = match reference.parse::<Reference>() {
                Ok(name) if record.names.contains(&name.to_string()) => vec![name.to_string()],
                // By id or digest: all names that it has.
                _ => record.names.iter().cloned().collect(),
            };
            match items.iter_mut().find(|item| item.id == *id) {
                Some(item) => item.names.extend(names),
                None => items.push(Item {
                    id: *id,
                    record: record.clone(),
                    stored: self.stored_manifest(record)?,
                    names,
                }),
            }
        }
        self.grant(&Lease {
            holder: staging.path().to_owned(),
            container: false,
            layers: Vec::new(),
            blobs: items.iter().flat_map(|item| item.record.blobs(item.id)).collect(),
        })?;
        let mut writer = Writer {
            tar: Builder::new(to),
            store: self,
            staging: &staging,
            written: BTreeSet::new(),
        };
        match form {
            Archive::Oci => writer.oci(&items)?,
            Archive::Docker => writer.docker(&items)?,
        }
        let mut to = writer.tar.into_inner().map_err(failed)?;
        to.flush().map_err(failed)
    }
}

fn failed(source: std::io::Error) -> Error {
    Error::stream("writing the archive", source)
}

struct Writer<'a, W: Write> {
    tar: Builder<W>,
    store: &'a ImageStore,
    staging: &'a Staging,
    /// Names in the archive: layers that images share are there once.
    written: BTreeSet<String>,
}

impl<W: Write> Writer<'_, W> {
    fn oci(&mut self, items: &[Item]) -> Result<(), Error> {
        self.directory("blobs/")?;
        self.directory("blobs/sha256/")?;
        let mut entries = Vec::new();
        for item in items {
            for digest in item.record.blobs(item.id) {
                self.blob(digest)?;
            }
            let entry = |annotations: BTreeMap<&str, &str>| {
                let mut entry = json!({
                    "mediaType": item.stored.media_type,
                    "digest": Digest::of(&item.stored.bytes),
                    "size": item.stored.bytes.len(),
                });
                if !annotations.is_empty() {
                    entry["annotations"] = json!(annotations);
                }
                entry
            };
            for name in &item.names {
                let tag = name.parse::<Reference>()?.tag.unwrap_or_default();
                entries.push(entry(BTreeMap::from([
                    ("io.containerd.image.name", name.as_str()),
                    ("org.opencontainers.image.ref.name", tag.as_str()),
                ])));
            }
            if item.names.is_empty() {
                entries.push(entry(BTreeMap::new()));
            }
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": entries,
        });
        self.bytes("index.json", index.to_string().as_bytes())?;
        self.bytes("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
    }

    fn docker(&mut self, items: &[Item]) -> Result<(), Error> {
        let mut entries = Vec::new();
        for item in items {
            let config = self.store.document(item.id)?;
            let (_, diff_ids) = manifest::parse_config(&config, item.stored.layers.len())?;
            let config_name = format!("{}.json", item.id.hex());
            self.bytes(&config_name, &config)?;
            let mut layers = Vec::new();
            for (layer, diff_id) in item.stored.layers.iter().zip(diff_ids) {
                let name = format!("{}.tar", diff_id.hex());
                if self.written.insert(name.clone()) {
                    self.plain_layer(&name, layer.digest, diff_id)?;
                }
                layers.push(name);
            }
            entries.push(json!({"Config": config_name, "RepoTags": item.names, "Layers": layers}));
        }
        self.bytes("manifest.json", json!(entries).to_string().as_bytes())
    }

    /// A layer without compression. Its length must be known before it is written: by way of the disk.
    fn plain_layer(&mut self, name: &str, blob: Digest, diff_id: Digest) -> Result<(), Error> {
        let packed = self.open(blob)?;
        let (_, mut plain) = compression::decompress(BufReader::with_capacity(256 << 10, packed))?;
        let temporary = tempfile::tempfile_in(self.staging.path()).map_err(failed)?;
        let budget = self.store.budget()?;
        let mut hashing = Hashing::new(temporary);
        source::copy(&mut budget.reader(&mut plain), &mut hashing)
            .map_err(|source| Error::stream("unpacking a layer", source))?;
        let (found, size, mut file) = hashing.finish();
        if found != diff_id {
            return Err(damaged(blob));
        }
        file.rewind().map_err(failed)?;
        self.append(name, size, file)
    }

    fn blob(&mut self, digest: Digest) -> Result<(), Error> {
        let name = format!("blobs/sha256/{}", digest.hex());
        if !self.written.insert(name.clone()) {
            return Ok(());
        }
        let file = self.open(digest)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut hashing = Hashing::new(file);
        self.append(&name, size, &mut hashing)?;
        if hashing.finish().0 == digest {
            Ok(())
        } else {
            Err(damaged(digest))
        }
    }

    fn open(&self, digest: Digest) -> Result<File, Error> {
        let path = self.store.blob(digest);
        File::open(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => damaged(digest),
            _ => Error::path("opening", &path, error),
        })
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.append(name, bytes.len() as u64, bytes)
    }

    fn append(&mut self, name: &str, size: u64, contents: impl Read) -> Result<(), Error> {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(size);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        self.tar
            .append_data(&mut header, name, contents.take(size))
            .map_err(failed)
    }

    fn directory(&mut self, name: &str) -> Result<(), Error> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        self.tar
            .append_data(&mut header, name, std::io::empty())
            .map_err(failed)
    }
}

fn damaged(digest: Digest) -> Error {
    Error::Damaged {
        digest,
        reason: "it is missing from the image store or has changed there; `keelson image check --repair` fetches it again"
            .to_owned(),
    }
}
