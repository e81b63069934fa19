//! Whether etcd is still the one that the index was fed from.
//!
//! Somebody may put a backup in etcd's place while servers run. Its revisions begin again where the backup was taken, and
//! are given out a second time: a watch from where the index is would miss whatever happens until they are past that, and
//! nobody would notice (etcd's documentation asks to stop all API servers first). So before each watch etcd is asked for
//! the last changes that the index has seen, and a server whose etcd does not know it ends: only a new start can know what is so.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::failure::Failure;
use super::proto::{KeyValue, RangeRequest};
use super::{Core, barrier};

/// A key as a change has left it.
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

/// What has been seen last.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The youngest change that left a value.
    pub value: Option<Landmark>,
    /// The youngest deletion, for changes may end in those: the key and the revision.
    pub deletion: Option<(Vec<u8>, i64)>,
}

impl Seen {
    /// A change that came after all others.
    pub fn note(&mut self, pair: &KeyValue, deleted: bool) {
        if deleted {
            self.deletion = Some((pair.key.clone(), pair.mod_revision));
        } else {
            self.value = Some(Landmark::of(pair));
        }
    }
}

/// A key at a revision.
enum Found {
    Value(KeyValue),
    Nothing,
    /// The revision is compacted, or not there yet (which the current one tells).
    Unknown,
}

async fn find(core: &Core, key: &[u8], revision: i64) -> Result<Found, Failure> {
    let request = RangeRequest {
        key: key.to_vec(),
        revision,
        ..RangeRequest::default()
    };
    match core.client.glance(request).await {
        Ok(answer) => Ok(answer.kvs.into_iter().next().map_or(Found::Nothing, Found::Value)),
        Err(Failure::Refused(tonic::Code::OutOfRange, _)) => Ok(Found::Unknown),
        Err(error) => Err(error),
    }
}

/// Whether etcd has what the index has seen. `Ok` with the reason if it does not.
pub async fn missing(core: &Core) -> Result<Option<String>, Failure> {
    let seen = *core.seen.borrow();
    let Seen { value, deletion } = core.landmark().clone();
    let youngest = value.as_ref().map_or(0, |landmark| landmark.revision);
    if let Some(landmark) = value {
        let is_other = match find(core, &landmark.key, landmark.revision).await? {
            Found::Value(pair) => Landmark::of(&pair) != landmark,
            Found::Nothing => true,
            Found::Unknown => false,
        };
        if is_other {
            return Ok(Some(another(&landmark.key, landmark.revision)));
        }
    }
    if let Some((key, revision)) = deletion.filter(|(_, revision)| *revision > youngest) {
        if matches!(find(core, &key, revision).await?, Found::Value(_)) {
            return Ok(Some(another(&key, revision)));
        }
        if matches!(find(core, &key, revision - 1).await?, Found::Nothing) {
            return Ok(Some(another(&key, revision - 1)));
        }
    }
    let current = barrier::current(core).await?;
    Ok((current < seen).then(|| format!("it is at revision {current}, and {seen} had been there")))
}

fn another(key: &[u8], revision: i64) -> String {
    let key = String::from_utf8_lossy(key);
    format!("{key} was another one at revision {revision}")
}
