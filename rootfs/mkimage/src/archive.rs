//! The archive (OCI image spec: image-layout.md, layer.md, config.md).

use std::fmt::Write as _;
use std::io::Write;

use anyhow::Context;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::recipe::{Kind, Recipe};

/// Writes the archive into memory: these images are a few megabytes.
pub fn build(recipe: &Recipe) -> anyhow::Result<Vec<u8>> {
    let layer = layer(recipe)?;
    let packed = gzip(&layer)?;
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "Env": recipe.env,
            "Cmd": recipe.cmd,
            "ExposedPorts": recipe.ports.iter().map(|port| (port.clone(), json!({}))).collect::<serde_json::Map<_, _>>(),
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    })
    .to_string();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &packed)],
    })
    .to_string();
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
    let tag = recipe.name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    entry["annotations"] =
        json!({"io.containerd.image.name": recipe.name, "org.opencontainers.image.ref.name": tag});
    let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();

    let mut archive = Builder::new(Vec::new());
    add(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    add(&mut archive, "index.json", index.as_bytes())?;
    for blob in [manifest.as_bytes(), config.as_bytes(), &packed] {
        let name = digest(blob).replace("sha256:", "blobs/sha256/");
        add(&mut archive, &name, blob)?;
    }
    Ok(archive.into_inner()?)
}

fn layer(recipe: &Recipe) -> anyhow::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for entry in &recipe.entries {
        let path = &entry.path;
        let written = match &entry.kind {
            Kind::Directory(mode) => tar.append_data(
                &mut header(EntryType::Directory, *mode, 0),
                path,
                std::io::empty(),
            ),
            Kind::File(mode, source) => {
                let bytes = std::fs::read(source).with_context(|| format!("reading {}", source.display()))?;
                tar.append_data(
                    &mut header(EntryType::Regular, *mode, bytes.len()),
                    path,
                    &bytes[..],
                )
            }
            Kind::Text(mode, text) => tar.append_data(
                &mut header(EntryType::Regular, *mode, text.len()),
                path,
                text.as_bytes(),
            ),
            Kind::HardLink(target) => tar.append_link(&mut header(EntryType::Link, 0o755, 0), path, target),
        };
        written.with_context(|| format!("adding {path}"))?;
    }
    Ok(tar.into_inner()?)
}

/// Root's, and as old as Unix.
fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size as u64);
    header
}

fn add(archive: &mut Builder<Vec<u8>>, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    archive
        .append_data(&mut header(EntryType::Regular, 0o644, bytes.len()), name, bytes)
        .with_context(|| format!("adding {name}"))
}

fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold("sha256:".to_owned(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

/// Go's name of what this machine runs.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_recipe_makes_the_same_bytes() {
        let recipe =
            crate::recipe::parse("name a:1\ncmd sh\ndir etc 755\ntext etc/x 644 hello\nhardlink y etc/x")
                .unwrap();
        let bytes = build(&recipe).unwrap();
        assert_eq!(bytes, build(&recipe).unwrap());
        let mut archive = tar::Archive::new(&bytes[..]);
        assert_eq!(archive.entries().unwrap().count(), 5);
    }
}
