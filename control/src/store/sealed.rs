//! What the embedded store knows about the encryption of its rows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StoreError;
use super::index::Applied;
use crate::encryption::{Encryption, Rules};
use crate::object::GroupResource;

/// A resource and a key in it.
type Place = (Arc<GroupResource>, String);

/// Stale rows, and those that cannot be decrypted.
#[derive(Debug)]
pub struct Sealed {
    encryption: Arc<Encryption>,
    /// Stored in another encryption than they would be now.
    stale: Mutex<HashSet<Place>>,
    /// Not decrypted when the file was loaded, with the reason. They come to light again at a start with their key.
    unreadable: HashMap<Arc<GroupResource>, BTreeMap<String, String>>,
}

impl Sealed {
    /// Nothing is known yet.
    pub fn new(encryption: Arc<Encryption>) -> Self {
        Self {
            encryption,
            stale: Mutex::default(),
            unreadable: HashMap::new(),
        }
    }

    /// How objects are encrypted.
    pub fn encryption(&self) -> &Encryption {
        &self.encryption
    }

    fn stale(&self) -> MutexGuard<'_, HashSet<Place>> {
        // Nothing can panic between two changes that belong together.
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes rows that are stale.
    pub fn mark_stale(&self, places: impl IntoIterator<Item = Place>) {
        self.stale().extend(places);
    }

    /// Whether a row is stale.
    pub fn is_stale(&self, resource: &GroupResource, key: &str) -> bool {
        let stale = self.stale();
        !stale.is_empty() && stale.contains(&(Arc::new(resource.clone()), key.to_owned()))
    }

    /// Those of the changes to tell [`Self::stored`] about. The index is locked for writing when this is asked, so that a
    /// change of the rules finds them in the index or is seen here.
    pub fn touched(&self, changes: &[Applied], rules: &Arc<Rules>) -> Vec<Place> {
        let all = !self.stale().is_empty() || !Arc::ptr_eq(rules, &self.encryption.rules());
        changes
            .iter()
            .filter(|change| all || rules.of(&change.resource).encrypts())
            .map(|change| (Arc::clone(&change.resource), change.key.clone()))
            .collect()
    }

    /// These have been written or removed by these rules and are in the index.
    pub fn stored(&self, places: Vec<Place>, rules: &Arc<Rules>) {
        if places.is_empty() {
            return;
        }
        let mut stale = self.stale();
        // Other rules since the write: whoever set them may have looked for stale rows before these were there.
        if Arc::ptr_eq(rules, &self.encryption.rules()) {
            for place in places {
                stale.remove(&place);
            }
        } else {
            stale.extend(places);
        }
    }

    /// Notes a row that cannot be decrypted.
    pub fn unreadable(&mut self, resource: Arc<GroupResource>, key: &str, why: &str) {
        self.unreadable
            .entry(resource)
            .or_default()
            .insert(key.to_owned(), why.to_owned());
    }

    /// Why a row cannot be read.
    pub fn fault(&self, resource: &GroupResource, key: &str) -> Option<StoreError> {
        let why = self.unreadable.get(resource)?.get(key)?;
        Some(StoreError::Unreadable(why.clone()))
    }

    /// Refuses a list that would have to leave out what cannot be read: who acts on it would take that for deleted.
    pub fn check(&self, resource: &GroupResource, namespace: Option<&str>) -> Result<(), StoreError> {
        let Some(rows) = self.unreadable.get(resource) else {
            return Ok(());
        };
        let inside = |key: &str| {
            namespace.is_none_or(|namespace| key.split_once('/').is_some_and(|(own, _)| own == namespace))
        };
        match rows.iter().find(|(key, _)| inside(key)) {
            Some((_, why)) => Err(StoreError::Unreadable(why.clone())),
            None => Ok(()),
        }
    }
}
