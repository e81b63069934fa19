//! The JSON documents of an image (OCI image spec manifest.md, image-index.md; Docker's schema 2 and its
//! `manifest.json`), and the choice between several images.

use std::collections::BTreeMap;

use oci_spec::image::ImageConfiguration;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

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

/// What an index entry runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Platform {
    pub os: String,
    pub architecture: String,
}

impl Platform {
    /// This machine, in Go's names.
    pub(super) fn host() -> Self {
        Self {
            os: "linux".to_owned(),
            architecture: match std::env::consts::ARCH {
                "x86_64" => "amd64",
                "aarch64" => "arm64",
                "x86" => "386",
                "powerpc64" => "ppc64le",
                other => other,
            }
            .to_owned(),
        }
    }
}

/// What names an index entry in archives: containerd's and Docker's annotation, then the specification's.
const NAME_ANNOTATIONS: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

impl Descriptor {
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
                Ok(Self::Manifest {
                    config: serde_json::from_str(config.get()).map_err(invalid)?,
                    layers,
                })
            }
            _ => Err(Error::Invalid(
                "manifest must have either config and layers, or manifests, as its media type says"
                    .to_owned(),
            )),
        }
    }
}

/// Parses an image configuration and checks that it can run here and fits its layers. Returns the diffIDs.
pub(super) fn check_config(bytes: &[u8], layers: usize) -> Result<(ImageConfiguration, Vec<Digest>), Error> {
    let config: ImageConfiguration =
        serde_json::from_slice(bytes).map_err(|source| Error::document("image configuration", &source))?;
    let host = Platform::host();
    let (os, architecture) = (config.os().to_string(), config.architecture().to_string());
    if os != host.os || architecture != host.architecture {
        return Err(Error::Invalid(format!(
            "it is for {os:.40}/{architecture:.40}, this machine is {}/{}",
            host.os, host.architecture
        )));
    }
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

/// Chooses the entry for this machine: an exact platform first, then one that names none.
pub(super) fn choose_platform(entries: &[Descriptor]) -> Result<&Descriptor, Error> {
    let host = Platform::host();
    let exact = entries
        .iter()
        .find(|entry| entry.platform.as_ref() == Some(&host));
    let unnamed = || entries.iter().find(|entry| entry.platform.is_none());
    exact.or_else(unnamed).ok_or_else(|| {
        let offered: Vec<_> = entries
            .iter()
            .filter_map(|entry| entry.platform.as_ref())
            .take(20)
            .map(|platform| format!("{:.40}/{:.40}", platform.os, platform.architecture))
            .collect();
        Error::Invalid(format!(
            "no image for {}/{}; there is {offered:?}",
            host.os, host.architecture
        ))
    })
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
    use super::*;

    fn descriptor() -> serde_json::Value {
        serde_json::json!({"mediaType": "x", "digest": Digest::of(b""), "size": 0})
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
    fn takes_the_platform_of_this_machine() {
        let entry = |os: &str, architecture: &str| Descriptor {
            media_type: architecture.to_owned(),
            digest: Digest::of(b""),
            size: 0,
            platform: Some(Platform {
                os: os.to_owned(),
                architecture: architecture.to_owned(),
            }),
            annotations: BTreeMap::new(),
        };
        let host = Platform::host().architecture;
        let entries = [
            entry("windows", &host),
            entry("linux", "s390x"),
            entry("linux", &host),
        ];
        assert_eq!(choose_platform(&entries).unwrap().media_type, host);
        assert!(choose_platform(&entries[..2]).is_err());
    }
}
