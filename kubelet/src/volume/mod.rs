//! Volumes: what a pod's containers find mounted. Everything lies below the pod's directory, so that a killed kubelet
//! finds it again and teardown needs no memory.

mod atomic;
mod dirs;
mod empty_dir;
mod host_path;
mod ownership;
mod payload;
mod projected;
mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::SystemTime;

use k8s_openapi::api::core::v1::{Pod, Volume};
use keelson_runtime::node::SourceKind;

pub use dirs::{PodDir, create_private, unmount_all};
pub use token::Tokens;

use crate::cache::ObjectCache;
use crate::container::fields::Surroundings;
use crate::spec::containers;

#[cfg(test)]
mod tests;

/// Why a volume cannot be mounted; the text of the FailedMount event after the volume's name.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something referred to is missing or wrong.
    #[error("{0}")]
    Content(String),
    /// The kubelet does not do this kind of volume.
    #[error("volume type is not supported by this kubelet: {0}")]
    Unsupported(&'static str),
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// What mounting needs besides the pod.
#[derive(Clone)]
pub struct Sources {
    /// ConfigMaps and Secrets.
    pub objects: ObjectCache,
    /// For tokens.
    pub client: kube::Client,
    /// Tokens of this pod.
    pub tokens: Tokens,
    /// For downward API fields.
    pub around: Surroundings,
}

/// All volumes of a pod are there.
#[derive(Debug, Default)]
pub struct Mounted {
    /// When the content must be made anew (a token runs out), if ever.
    pub renew_at: Option<SystemTime>,
}

/// Mounts what the pod's containers use and writes its content, or brings it up to date. On failure the error names
/// the volume.
pub async fn mount_all(pod: &Pod, dir: &PodDir, sources: &Sources) -> Result<Mounted, (String, Error)> {
    let used = used(pod);
    let volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
    let mounts = volumes
        .filter(|volume| used.contains(&volume.name))
        .map(|volume| async move {
            mount(pod, volume, dir, sources)
                .await
                .map_err(|error| (volume.name.clone(), error))
        });
    let mut mounted = Mounted::default();
    for result in futures::future::join_all(mounts).await {
        let renew_at = result?;
        mounted.renew_at = [mounted.renew_at, renew_at].into_iter().flatten().min();
    }
    Ok(mounted)
}

async fn mount(
    pod: &Pod,
    volume: &Volume,
    dir: &PodDir,
    sources: &Sources,
) -> Result<Option<SystemTime>, Error> {
    let path = dir.volume(volume);
    let fs_group = fs_group(pod);
    if let Some(source) = volume.empty_dir.clone() {
        return blocking(move || empty_dir::mount(&path, &source, fs_group))
            .await
            .map(|()| None);
    }
    if let Some(source) = volume.host_path.clone() {
        return blocking(move || host_path::prepare(&source)).await.map(|()| None);
    }
    if let Some(projected) = projected::sources(volume) {
        let content = payload::gather(pod, &volume.name, &projected, sources).await?;
        let owner = ownership::Owner {
            uid: token::file_owner(pod),
            gid: fs_group,
        };
        let in_memory = projected.in_memory;
        blocking(move || {
            if in_memory {
                dirs::mount_tmpfs(&path, None)?;
            }
            atomic::write(&path, &content.files, owner)
        })
        .await?;
        return Ok(content.renew_at);
    }
    if volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some() {
        return Err(Error::Unsupported("persistentVolumeClaim"));
    }
    Err(Error::Unsupported(
        "only emptyDir, hostPath, configMap, secret, downwardAPI and projected",
    ))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Content(format!("mounting did not end: {error}"))),
    }
}

fn fs_group(pod: &Pod) -> Option<u32> {
    let group = pod.spec.as_ref()?.security_context.as_ref()?.fs_group?;
    u32::try_from(group).ok()
}

/// The volumes that some container mounts.
fn used(pod: &Pod) -> BTreeSet<String> {
    let all = pod.spec.iter().flat_map(containers);
    all.flat_map(|(_, c)| c.volume_mounts.clone().unwrap_or_default())
        .map(|m| m.name)
        .collect()
}

/// Host directory (or file) of every volume by name.
pub fn paths(pod: &Pod, dir: &PodDir) -> BTreeMap<String, PathBuf> {
    let volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
    volumes
        .map(|volume| {
            let path = match &volume.host_path {
                Some(source) => PathBuf::from(&source.path),
                None => dir.volume(volume),
            };
            (volume.name.clone(), path)
        })
        .collect()
}

/// What the source of a volume must be: the type of a hostPath, of which the check before its mounting was only the first.
pub fn source_kind(pod: &Pod, name: &str) -> Option<SourceKind> {
    let mut volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
    let volume = volumes.find(|volume| volume.name == name)?;
    host_path::kind(volume.host_path.as_ref()?)
}

/// Volumes whose content the kubelet writes: containers may only read them.
pub fn read_only(pod: &Pod) -> BTreeSet<String> {
    let volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
    volumes
        .filter(|v| projected::sources(v).is_some())
        .map(|v| v.name.clone())
        .collect()
}

/// Whether a changed label or annotation shows in a volume of the pod.
pub fn shows_metadata(pod: &Pod) -> bool {
    let volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
    volumes
        .filter_map(projected::sources)
        .any(|p| p.list.iter().any(|s| s.downward_api.is_some()))
}
