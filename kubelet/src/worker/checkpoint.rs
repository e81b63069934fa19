//! The pod as last known, kept beside its volumes: a kubelet that starts while the API is away goes on from it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use k8s_openapi::api::core::v1::Pod;

use super::Worker;
use crate::pod::state::Step;
use crate::volume::{PodDir, create_private};

const FILE: &str = "pod.json";
const NEW: &str = "pod.json.new";

impl Worker {
    /// Writes the pod with its present status. Not synced: after a power loss nothing of the pod runs anyway.
    pub(super) fn checkpoint(&self) {
        let refused = self.state.failure.is_some() && self.state.start_time.is_none();
        if self.state.teardown != Step::Pending || self.state.gone || self.state.api_terminal || refused {
            return;
        }
        let pod = Pod {
            status: self.desired.clone(),
            ..(*self.pod).clone()
        };
        if let Err(error) = write(&self.dir, &pod) {
            tracing::warn!(pod = crate::event::pod_text(&self.pod), error, "checkpoint");
        }
    }
}

fn write(dir: &PodDir, pod: &Pod) -> Result<(), String> {
    create_private(dir.path()).map_err(|error| error.to_string())?;
    let text = serde_json::to_vec(pod).map_err(|error| error.to_string())?;
    let new = dir.file(NEW);
    let mut options = fs::OpenOptions::new();
    let opened = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new);
    opened
        .and_then(|mut file| file.write_all(&text))
        .and_then(|()| fs::rename(&new, dir.file(FILE)))
        .map_err(|error| format!("write {}: {error}", new.display()))
}

/// The checkpoints of all pods below the kubelet's root. Damaged ones are left out.
pub fn load_checkpoints(root: &Path) -> Vec<Pod> {
    let entries = fs::read_dir(root.join("pods")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pod: Pod = serde_json::from_slice(&fs::read(entry.path().join(FILE)).ok()?).ok()?;
            // The directory's name is the identity; a file that says otherwise is not ours.
            (pod.metadata.uid.as_deref() == entry.file_name().to_str()).then_some(pod)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_checkpoints_are_left_out() {
        let root = tempfile::tempdir().unwrap();
        let mut pod = Pod::default();
        pod.metadata.uid = Some("u1".into());
        write(&PodDir::new(root.path(), "u1"), &pod).unwrap();
        write(&PodDir::new(root.path(), "other"), &pod).unwrap();
        let broken = PodDir::new(root.path(), "u2");
        create_private(broken.path()).unwrap();
        fs::write(broken.file(FILE), "{\"metadata\":").unwrap();
        let loaded = load_checkpoints(root.path());
        assert_eq!(loaded.len(), 1);
        assert_eq!(loaded[0].metadata.uid.as_deref(), Some("u1"));
    }
}
