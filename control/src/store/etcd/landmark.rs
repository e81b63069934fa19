//! Whether etcd is still the one that the index was fed from.
//!
//! Somebody may put a backup in etcd's place while servers run. Its revisions begin again where the backup was taken, and
//! are given out a second time: a watch from where the index is would miss whatever happens until they are past that, and
//! nobody would notice (etcd's documentation asks to stop all API servers first). So before each watch etcd is asked for
//! a change that the index has seen, and a server whose etcd does not know it ends: only a new start can know what is so.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::failure::Failure;
use super::proto::{KeyValue, RangeRequest};
use super::{Core, barrier};

/// A change that has been seen: the youngest one that left a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landmark {
    key: Vec<u8>,
    revision: i64,
    version: i64,
    value: u64,
}

impl Landmark {
    /// Of a key as it was after the change.
    pub fn of(pair: &KeyValue) -> Self {
        let mut hasher = DefaultHasher::new();
        pair.value.hash(&mut hasher);
        Self {
            key: pair.key.clone(),
            revision: pair.mod_revision,
            version: pair.version,
            value: hasher.finish(),
        }
    }

    /// The younger one of two.
    pub fn younger(found: &mut Option<Self>, pair: &KeyValue) {
        if found
            .as_ref()
            .is_none_or(|found| found.revision < pair.mod_revision)
        {
            *found = Some(Self::of(pair));
        }
    }
}

/// Whether etcd has what the index has seen. `Ok` with the reason if it does not.
pub async fn missing(core: &Core) -> Result<Option<String>, Failure> {
    let seen = *core.seen.borrow();
    let landmark = core.landmark().clone();
    if let Some(landmark) = landmark {
        let request = RangeRequest {
            key: landmark.key.clone(),
            revision: landmark.revision,
            ..RangeRequest::default()
        };
        match core.client.glance(request).await {
            Ok(answer) => {
                if answer.kvs.first().map(Landmark::of).as_ref() != Some(&landmark) {
                    let (key, revision) = (String::from_utf8_lossy(&landmark.key), landmark.revision);
                    return Ok(Some(format!("{key} was another one at revision {revision}")));
                }
            }
            // Compacted, or not there yet, which the revision tells.
            Err(Failure::Refused(tonic::Code::OutOfRange, _)) => {}
            Err(error) => return Err(error),
        }
    }
    let current = barrier::current(core).await?;
    Ok((current < seen).then(|| format!("it is at revision {current}, and {seen} had been there")))
}
