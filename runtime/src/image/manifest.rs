//! The JSON documents of an image (OCI image spec manifest.md, image-index.md; Docker's schema 2 and its
//! `manifest.json`), and the choice between several images.

use std::collections::BTreeMap;

use oci_spec::image::ImageConfiguration;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(super) use super::platform::Platform;
use super::{Digest, Error, limits};

/// Media type of a manifest that we write.
pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of a configuration.
pub(super) const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";

/// A reference to a blob (OCI descriptor.md).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What names an index entry in archives: containerd's and Docker's annotation, then the specification's.
const NAME_ANNOTATIONS: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

impl Descriptor {
    /// The full name that annotations give to this entry: containerd's, else the specification's unless that is only a
    /// tag.
    pub(super) fn full_name(&self) -> Option<&str> {
        self.names().find(|name| name.contains(['/', ':']))
    }

    /// The names that annotations give to this entry; the specification's may be a bare tag.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        NAME_ANNOTATIONS
            .iter()
            .filter_map(|key| self.annotations.get(*key))
            .map(String::as_str)
    }
}

/// A manifest that we write ourselves.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub schema_version: u32,
    pub media_type: String,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
}

/// One parsed document.
#[derive(Debug)]
pub(super) enum Document {
    Manifest {
        config: Descriptor,
        layers: Vec<Descriptor>,
    },
    Index(Vec<Descriptor>),
}

impl Document {
    /// Parses a manifest or an index, and refuses a document that could be taken for both (CVE-2021-41190).
    pub(super) fn parse(bytes: &[u8], declared_type: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Either {
            schema_version: u32,
            media_type: Option<String>,
            config: Option<Box<RawValue>>,
            layers: Option<Box<RawValue>>,
            manifests: Option<Box<RawValue>>,
            fs_layers: Option<Box<RawValue>>,
        }
        let invalid = |source: serde_json::Error| Error::document("manifest", &source);
        let either: Either = serde_json::from_slice(bytes).map_err(invalid)?;
        if either.schema_version != 2 || either.fs_layers.is_some() {
            return Err(Error::Invalid(format!(
                "manifest schema version {} is not supported",
                either.schema_version
            )));
        }
        if let Some(own) = &either.media_type
            && !declared_type.is_empty()
            && own != declared_type
        {
            return Err(Error::Invalid(format!(
                "manifest says it is {own:.100?}, but was referred to as {declared_type:.100?}"
            )));
        }
        let media_type = either.media_type.as_deref().unwrap_or(declared_type);
        let is_index = media_type.contains("index") || media_type.contains("manifest.list");
        match (either.config, either.layers, either.manifests) {
            (None, None, Some(manifests)) if is_index || media_type.is_empty() => Ok(Self::Index(
                serde_json::from_str(manifests.get()).map_err(invalid)?,
            )),
            (Some(config), Some(layers), None) if !is_index => {
                let layers: Vec<Descriptor> = serde_json::from_str(layers.get()).map_err(invalid)?;
                if layers.len() > limits::LAYERS {
                    return Err(Error::Invalid(format!("it has {} layers", layers.len())));
                }
                let config: Descriptor = serde_json::from_str(config.get()).map_err(invalid)?;
                check_types(&config, &layers)?;
                Ok(Self::Manifest { config, layers })
            }
            _ => Err(Error::Invalid(
                "manifest must have either config and layers, or manifests, as its media type says"
                    .to_owned(),
            )),
        }
    }
}

/// Parses an image configuration and checks that it fits its layers. Returns the diffIDs, too.
pub(super) fn parse_config(bytes: &[u8], layers: usize) -> Result<(ImageConfiguration, Vec<Digest>), Error> {
    let config: ImageConfiguration =
        serde_json::from_slice(bytes).map_err(|source| Error::document("image configuration", &source))?;
    let diff_ids: Vec<Digest> = config
        .rootfs()
        .diff_ids()
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    if diff_ids.len() != layers {
        return Err(Error::Invalid(format!(
            "its configuration names {} layers, its manifest {layers}",
            diff_ids.len()
        )));
    }
    Ok((config, diff_ids))
}

/// As [`parse_config`], and checks that the image is for `platform`. Returns the diffIDs.
pub(super) fn check_config(bytes: &[u8], layers: usize, platform: &Platform) -> Result<Vec<Digest>, Error> {
    let (config, diff_ids) = parse_config(bytes, layers)?;
    let own = Platform {
        os: config.os().to_string(),
        architecture: config.architecture().to_string(),
        variant: config.variant().clone(),
    };
    if own.os != platform.os || own.architecture != platform.architecture {
        return Err(Error::Invalid(format!("it is for {own}, wanted is {platform}")));
    }
    Ok(diff_ids)
}

/// Chooses the entry for a platform: the one that fits best, then one that names none.
pub(super) fn choose_platform<'a>(
    entries: &'a [Descriptor],
    platform: &Platform,
) -> Result<&'a Descriptor, Error> {
    let ranked = entries.iter().filter_map(|entry| {
        let rank = platform.rank(entry.platform.as_ref()?)?;
        Some((rank, entry))
    });
    let best = ranked.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry);
    let unnamed = || entries.iter().find(|entry| entry.platform.is_none());
    best.or_else(unnamed).ok_or_else(|| {
        let offered: Vec<_> = entries
            .iter()
            .filter_map(|entry| entry.platform.as_ref())
            .take(20)
            .map(Platform::to_string)
            .collect();
        Error::Invalid(format!(
            "no image for {platform}; there is one for {:.500}",
            offered.join(", ")
        ))
    })
}

/// What the media type of a layer says (OCI layer.md, Docker's schema 2).
const LAYER_TYPES: [&str; 7] = [
    "", // Docker archives and hand-made manifests
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
];

/// Refuses what is no container image, by the types that its manifest names.
pub(super) fn check_types(config: &Descriptor, layers: &[Descriptor]) -> Result<(), Error> {
    let known = [
        "",
        CONFIG_TYPE,
        "application/vnd.docker.container.image.v1+json",
        "application/octet-stream", // written by old Docker registries
    ];
    if !known.contains(&config.media_type.as_str()) {
        return Err(Error::Invalid(format!(
            "it is no container image but an artifact of type {:.100?}",
            config.media_type
        )));
    }
    for layer in layers {
        let kind = layer.media_type.as_str();
        let digest = layer.digest;
        if kind.contains(".foreign.") || kind.contains(".nondistributable.") {
            return Err(Error::Invalid(format!(
                "layer {digest} is a foreign layer ({kind:.100}), which its registry does not have: that is how \
                 Windows images come, and they do not run here"
            )));
        }
        if kind.ends_with("+encrypted") {
            return Err(Error::Invalid(format!(
                "layer {digest} is encrypted: decrypt the image first"
            )));
        }
        if !LAYER_TYPES.contains(&kind) {
            return Err(Error::Invalid(format!(
                "layer {digest} has the unknown media type {kind:.100?}"
            )));
        }
    }
    Ok(())
}

/// One image of Docker's `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DockerEntry {
    pub config: String,
    #[serde(default)]
    pub repo_tags: Option<Vec<String>>,
    pub layers: Vec<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn descriptor() -> serde_json::Value {
        serde_json::json!({"mediaType": "", "digest": Digest::of(b""), "size": 0})
    }

    fn parse(value: &serde_json::Value, declared: &str) -> Result<Document, Error> {
        Document::parse(value.to_string().as_bytes(), declared)
    }

    #[test]
    fn a_document_is_one_thing_only() {
        let d = descriptor();
        let manifest = serde_json::json!({"schemaVersion": 2, "config": d, "layers": [d]});
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [d]});
        assert!(matches!(
            parse(&manifest, MANIFEST_TYPE),
            Ok(Document::Manifest { .. })
        ));
        assert!(matches!(parse(&index, ""), Ok(Document::Index(_))));
        let mut both = manifest.clone();
        both["manifests"] = serde_json::json!([d]);
        for bad in [
            both,
            serde_json::json!({"schemaVersion": 2}),
            serde_json::json!({"schemaVersion": 2, "layers": [d]}),
            serde_json::json!({"schemaVersion": 1, "fsLayers": []}),
            serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "config": d, "layers": []}),
            serde_json::json!({"schemaVersion": 2, "mediaType": "other", "config": d, "layers": []}),
            serde_json::json!({"schemaVersion": 2, "config": d, "layers": vec![d.clone(); 128]}),
            serde_json::json!({"schemaVersion": 2, "config": {"digest": "sha256:../..", "size": 1}, "layers": []}),
            serde_json::json!({"schemaVersion": 2, "config": {"digest": Digest::of(b""), "size": -1}, "layers": []}),
        ] {
            assert!(parse(&bad, MANIFEST_TYPE).is_err(), "{bad}");
        }
        assert!(parse(&index, MANIFEST_TYPE).is_err());
    }

    #[test]
    fn only_container_images() {
        let manifest = |config: &str, layer: &str| {
            let typed =
                |kind: &str| serde_json::json!({"mediaType": kind, "digest": Digest::of(b""), "size": 0});
            serde_json::json!({"schemaVersion": 2, "config": typed(config), "layers": [typed(layer)]})
        };
        for layer in LAYER_TYPES {
            assert!(
                parse(&manifest(CONFIG_TYPE, layer), MANIFEST_TYPE).is_ok(),
                "{layer}"
            );
        }
        for (config, layer, says) in [
            (
                CONFIG_TYPE,
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                "foreign",
            ),
            (
                CONFIG_TYPE,
                "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                "foreign",
            ),
            (
                CONFIG_TYPE,
                "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
                "encrypted",
            ),
            (CONFIG_TYPE, "text/html", "unknown media type"),
            (
                "application/vnd.cncf.helm.config.v1+json",
                LAYER_TYPES[2],
                "artifact",
            ),
        ] {
            let error = parse(&manifest(config, layer), MANIFEST_TYPE)
                .unwrap_err()
                .to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn takes_the_platform_that_fits_best() {
        let entry = |platform: &str| Descriptor {
            media_type: platform.to_owned(),
            digest: Digest::of(b""),
            size: 0,
            platform: Some(platform.parse().unwrap()),
            annotations: BTreeMap::new(),
        };
        let entries = [
            "windows/amd64",
            "linux/s390x",
            "linux/arm/v5",
            "linux/arm/v6",
            "linux/amd64",
        ]
        .map(entry);
        let choose = |platform: &str| {
            let platform = platform.parse().unwrap();
            choose_platform(&entries, &platform).map(|entry| entry.media_type.as_str())
        };
        assert_eq!(choose("linux/amd64").unwrap(), "linux/amd64");
        assert_eq!(choose("linux/arm/v7").unwrap(), "linux/arm/v6");
        let error = choose("linux/riscv64").unwrap_err().to_string();
        assert!(
            error.contains("no image for linux/riscv64; there is one for windows/amd64"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Document::parse(&bytes, "");
            let _ = parse_config(&bytes, 1);
        }

        /// Good documents with damaged bytes, cut short, or with members that stand twice.
        #[test]
        fn damaged_documents_are_read_or_refused(
            changes in proptest::collection::vec((0..2000usize, any::<u8>()), 0..6),
            cut in 0..2000usize,
            which in 0..3usize,
        ) {
            let d = descriptor();
            let documents = [
                serde_json::json!({"schemaVersion": 2, "config": d, "layers": [d, d]}),
                serde_json::json!({"schemaVersion": 2, "manifests": [d, d]}),
                serde_json::json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"")]}}),
            ];
            let mut bytes = documents[which].to_string().into_bytes();
            let length = bytes.len();
            for (at, byte) in changes {
                bytes[at % length] = byte;
            }
            bytes.truncate(cut.max(1));
            let _ = Document::parse(&bytes, "");
            let _ = parse_config(&bytes, 1);
        }

        #[test]
        fn any_nesting_is_refused_without_overflow(depth in 1..100_000usize) {
            let bytes = [b"{\"schemaVersion\":2,\"manifests\":".to_vec(), vec![b'['; depth]].concat();
            prop_assert!(Document::parse(&bytes, "").is_err());
        }
    }
}
