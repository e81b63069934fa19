//! Where stores are: each can be opened again, by any process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keelson_control::object::GroupResource;
use keelson_control::store::{Embedded, Etcd, EtcdOptions, Options, Servers, Store};
use serde::{Deserialize, Serialize};

/// One store, or several servers' views of one etcd.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Place {
    /// The embedded store's directory.
    Directory(PathBuf),
    /// The URLs of etcd's members, and what all keys begin with.
    Etcd(Vec<String>, String),
}

impl Place {
    /// A directory.
    pub fn directory(path: &Path) -> Self {
        Self::Directory(path.to_owned())
    }

    /// Opens it. Not from within an event loop.
    pub fn open(&self) -> Arc<dyn Store> {
        self.open_with(10_000)
    }

    /// Opens it, to keep that many events of history in memory.
    pub fn open_with(&self, history_events: usize) -> Arc<dyn Store> {
        let options = Options {
            history_events,
            ..Options::new(|_, _| BTreeMap::new())
        };
        let (urls, prefix) = match self {
            Self::Directory(dir) => return Arc::new(Embedded::open(dir, &options).unwrap()),
            Self::Etcd(urls, prefix) => (urls, prefix),
        };
        let options = EtcdOptions {
            servers: Servers {
                prefix: prefix.clone(),
                ..Servers::new(urls.clone())
            },
            store: options,
            builtin: vec![GroupResource::new("", "configmaps")],
            claims: |_, _| std::collections::BTreeSet::new(),
            // Often, so that kills meet one that is under way, and servers begin with little of the past.
            compaction: Some(Duration::from_secs(1)),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Arc::new(runtime.block_on(Etcd::open(options)).unwrap())
    }
}
