//! What a store knows about the encryption of what it holds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StoreError;
use super::index::{Applied, Index};
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
    /// Not decrypted, with the reason. They come to light again at a start with their key.
    unreadable: Mutex<HashMap<Arc<GroupResource>, BTreeMap<String, String>>>,
}

impl Sealed {
    /// Nothing is known yet.
    pub fn new(encryption: Arc<Encryption>) -> Self {
        Self {
            encryption,
            stale: Mutex::default(),
            unreadable: Mutex::default(),
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

    /// Follows a change of the rules: what would be written otherwise now is stale.
    pub fn rules_changed(&self, index: &Index, before: &Rules) {
        let rules = self.encryption.rules();
        self.mark_stale(index.keys(|resource| !rules.of(resource).writes_like(before.of(resource))));
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

    fn faults(&self) -> MutexGuard<'_, HashMap<Arc<GroupResource>, BTreeMap<String, String>>> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a row that cannot be decrypted.
    pub fn unreadable(&self, resource: Arc<GroupResource>, key: &str, why: &str) {
        self.faults()
            .entry(resource)
            .or_default()
            .insert(key.to_owned(), why.to_owned());
    }

    /// Notes how a row was found that has been read: stale or not.
    pub fn read(&self, resource: &Arc<GroupResource>, key: &str, stale: bool) {
        self.gone(resource, key);
        if stale {
            self.mark_stale([(Arc::clone(resource), key.to_owned())]);
        }
    }

    /// Everything has been read anew: what was found then cannot be read, and nothing else.
    pub fn found(&self, anew: Self) {
        *self.faults() = anew
            .unreadable
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        // Those of before may still be stale; one too many costs a write.
        self.stale()
            .extend(anew.stale.into_inner().unwrap_or_else(PoisonError::into_inner));
    }

    /// Forgets a row.
    pub fn gone(&self, resource: &Arc<GroupResource>, key: &str) {
        let mut faults = self.faults();
        if let Some(rows) = faults.get_mut(resource) {
            rows.remove(key);
            if rows.is_empty() {
                faults.remove(resource);
            }
        }
        drop(faults);
        let mut stale = self.stale();
        if !stale.is_empty() {
            stale.remove(&(Arc::clone(resource), key.to_owned()));
        }
    }

    /// Why a row cannot be read.
    pub fn fault(&self, resource: &GroupResource, key: &str) -> Option<StoreError> {
        let faults = self.faults();
        let why = faults.get(resource)?.get(key)?;
        Some(StoreError::Unreadable(why.clone()))
    }

    /// Refuses a list that would have to leave out what cannot be read: who acts on it would take that for deleted.
    pub fn check(&self, resource: &GroupResource, namespace: Option<&str>) -> Result<(), StoreError> {
        let faults = self.faults();
        let Some(rows) = faults.get(resource) else {
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
