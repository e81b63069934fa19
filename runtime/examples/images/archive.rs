//! An image to import, made anew for each comparison.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use keelson_runtime::image::Digest;
use serde_json::json;

/// What the image is like.
pub struct Shape {
    pub name: &'static str,
    pub layers: usize,
    /// In each layer.
    pub files: usize,
    /// In each file.
    pub bytes: usize,
}

/// As a scripting language's packages are.
pub const SMALL_FILES: Shape = Shape {
    name: "many small files",
    layers: 8,
    files: 4000,
    bytes: 3000,
};

/// As programs and models are.
pub const LARGE_FILES: Shape = Shape {
    name: "few large files",
    layers: 6,
    files: 4,
    bytes: 16 << 20,
};

/// Writes an OCI archive with layers in gzip. Returns its size.
pub fn write(path: &Path, shape: &Shape) -> u64 {
    let mut archive = tar::Builder::new(File::create(path).expect("creating the archive"));
    let mut blob = |bytes: &[u8], media_type: &str| {
        let digest = Digest::of(bytes);
        add(&mut archive, &format!("blobs/sha256/{}", digest.hex()), bytes);
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    };
    let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
    for number in 0..shape.layers {
        let plain = layer(number, shape);
        diff_ids.push(Digest::of(&plain));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        packed.write_all(&plain).expect("packing a layer");
        let packed = packed.finish().expect("packing a layer");
        layers.push(blob(&packed, "application/vnd.oci.image.layer.v1.tar+gzip"));
    }
    let architecture = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let config = json!({
        "architecture": architecture, "os": "linux",
        "config": {"Cmd": ["sh"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = blob(
        config.to_string().as_bytes(),
        "application/vnd.oci.image.config.v1+json",
    );
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
    let mut entry = blob(manifest.to_string().as_bytes(), media_type);
    entry["annotations"] = json!({
        "io.containerd.image.name": "docker.io/library/bench:1",
        "org.opencontainers.image.ref.name": "docker.io/library/bench:1",
    });
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    add(&mut archive, "index.json", index.to_string().as_bytes());
    add(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    archive.into_inner().expect("writing the archive");
    path.metadata().expect("the archive").len()
}

fn layer(number: usize, shape: &Shape) -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    let mut state = 1 + number as u64;
    for file in 0..shape.files {
        // Half noise, half text: it packs as programs and sources do.
        let contents: Vec<u8> = (0..shape.bytes)
            .map(|at| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                if at % 64 < 32 {
                    (state >> 56) as u8
                } else {
                    b'a' + (at % 26) as u8
                }
            })
            .collect();
        add(
            &mut layer,
            &format!("usr/lib/p{number}/d{}/f{file}", file / 40),
            &contents,
        );
    }
    layer.into_inner().expect("writing a layer")
}

fn add<W: Write>(to: &mut tar::Builder<W>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(1_000_000_000);
    to.append_data(&mut header, name, bytes)
        .expect("writing a member");
}
