//! What the supervisor tells other commands: `daemons.json` in the run directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Process;
use crate::cluster::write_atomically;

/// Content of `daemons.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The supervisor.
    pub supervisor: Process,
    /// The daemons by name.
    pub daemons: BTreeMap<String, DaemonState>,
}

/// One daemon.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DaemonState {
    /// Its process; `None` between two starts.
    pub process: Option<Process>,
    /// How often it was started again.
    pub restarts: u32,
}

/// The file, kept up to date by the supervisor.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    state: State,
}

impl StateFile {
    /// A fresh file for this supervisor.
    pub fn create(run_dir: &Path, supervisor: Process) -> std::io::Result<Self> {
        let file = Self {
            path: path(run_dir),
            state: State {
                supervisor,
                daemons: BTreeMap::new(),
            },
        };
        file.save()?;
        Ok(file)
    }

    /// Records a daemon's process, or that it has none.
    pub fn update(&mut self, name: &str, process: Option<Process>, restarts: u32) {
        self.state
            .daemons
            .insert(name.to_owned(), DaemonState { process, restarts });
        if let Err(error) = self.save() {
            tracing::warn!(path = %self.path.display(), %error, "cannot record the daemons; `keelson status` will be out of date");
        }
    }

    /// Reads the file of a running or dead supervisor.
    pub fn read(run_dir: &Path) -> Option<State> {
        serde_json::from_slice(&std::fs::read(path(run_dir)).ok()?).ok()
    }

    fn save(&self) -> std::io::Result<()> {
        write_atomically(&self.path, &serde_json::to_vec(&self.state)?)
    }
}

fn path(run_dir: &Path) -> PathBuf {
    run_dir.join("daemons.json")
}
