//! Gathering what the kubelet writes into a volume: path -> bytes and mode.

use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::time::SystemTime;

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Pod};

use super::projected::Projected;
use super::{Error, Sources};
use crate::cache::Kind;
use crate::container::fields::{field, resource};
use crate::spec::find;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub data: Vec<u8>,
    pub mode: u32,
    /// Readable by its owner alone whoever that is: a token.
    pub private: bool,
}

/// Everything in one volume.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub files: BTreeMap<String, File>,
    pub renew_at: Option<SystemTime>,
}

pub(super) async fn gather(
    pod: &Pod,
    volume: &str,
    projected: &Projected,
    sources: &Sources,
) -> Result<Content, Error> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let mut content = Content::default();
    for source in &projected.list {
        let named = match (&source.config_map, &source.secret) {
            (Some(map), _) => Some((Kind::ConfigMap, &map.name, &map.items, map.optional)),
            (None, Some(secret)) => Some((Kind::Secret, &secret.name, &secret.items, secret.optional)),
            (None, None) => None,
        };
        if let Some((kind, name, items, optional)) = named {
            let optional = optional.unwrap_or(false);
            let found = sources
                .objects
                .get(uid, kind, namespace, name)
                .await
                .map_err(Error::Content)?;
            match found {
                Some(object) => {
                    let files = select(
                        kind,
                        &object.data,
                        items.as_deref(),
                        projected.default_mode,
                        optional,
                    )?;
                    content.files.extend(files);
                }
                None if optional => {}
                None => return Err(Error::Content(format!("{} \"{name}\" not found", kind.lower()))),
            }
        } else if let Some(downward) = &source.downward_api {
            for item in downward.items.iter().flatten() {
                let (path, file) = downward_file(pod, item, projected.default_mode, sources)?;
                content.files.insert(path, file);
            }
        } else if let Some(wanted) = &source.service_account_token {
            let token = sources.tokens.get(&sources.client, pod, volume, wanted).await?;
            content.renew_at = [content.renew_at, Some(token.renew_at)]
                .into_iter()
                .flatten()
                .min();
            let file = File {
                data: token.text.into_bytes(),
                mode: projected.default_mode,
                private: true,
            };
            content.files.insert(wanted.path.clone(), file);
        } else if source.cluster_trust_bundle.is_some() {
            return Err(Error::Unsupported("clusterTrustBundle"));
        }
    }
    content.files.keys().try_for_each(|path| check_path(path))?;
    Ok(content)
}

/// Files of a ConfigMap or Secret: all keys, or the named ones.
pub(super) fn select(
    kind: Kind,
    data: &BTreeMap<String, Vec<u8>>,
    items: Option<&[KeyToPath]>,
    default_mode: u32,
    optional: bool,
) -> Result<BTreeMap<String, File>, Error> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        let all = data.iter().map(|(key, value)| {
            (
                key.clone(),
                File {
                    data: value.clone(),
                    mode: default_mode,
                    private: false,
                },
            )
        });
        return Ok(all.collect());
    };
    let mut files = BTreeMap::new();
    for item in items {
        match data.get(&item.key) {
            Some(value) => {
                let mode = item.mode.map_or(default_mode, |mode| mode as u32);
                files.insert(
                    item.path.clone(),
                    File {
                        data: value.clone(),
                        mode,
                        private: false,
                    },
                );
            }
            None if optional => {}
            None => {
                let what = if kind == Kind::ConfigMap {
                    "config"
                } else {
                    "secret"
                };
                return Err(Error::Content(format!(
                    "references non-existent {what} key: {}",
                    item.key
                )));
            }
        }
    }
    Ok(files)
}

fn downward_file(
    pod: &Pod,
    item: &DownwardAPIVolumeFile,
    default_mode: u32,
    sources: &Sources,
) -> Result<(String, File), Error> {
    let text = if let Some(reference) = &item.field_ref {
        field(pod, &sources.around, &reference.field_path)
    } else if let Some(selector) = &item.resource_field_ref {
        let name = selector.container_name.as_deref().unwrap_or_default();
        match pod.spec.as_ref().and_then(|spec| find(spec, name)) {
            Some((_, container)) => resource(&container, &sources.around, selector),
            None => return Err(Error::Content(format!("container {name:?} not found"))),
        }
    } else {
        Ok(String::new())
    };
    let data = text
        .map_err(|error| Error::Content(error.to_string()))?
        .into_bytes();
    let mode = item.mode.map_or(default_mode, |mode| mode as u32);
    Ok((
        item.path.clone(),
        File {
            data,
            mode,
            private: false,
        },
    ))
}

/// A path must stay inside the volume, and off the names of the atomic writer (`..data`).
pub(super) fn check_path(path: &str) -> Result<(), Error> {
    let plain = Path::new(path)
        .components()
        .all(|c| matches!(c, Component::Normal(_)));
    if path.is_empty() || !plain || path.starts_with("..") || path.len() > 4096 {
        return Err(Error::Content(format!(
            "invalid path {path:?}: must be relative and must not contain or start with '..'"
        )));
    }
    Ok(())
}
