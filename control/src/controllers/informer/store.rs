//! The indexed cache behind an informer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use super::Object;

/// Namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// From its parts.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

#[derive(Debug)]
struct State<T> {
    objects: BTreeMap<Key, Arc<T>>,
    /// Index value, as [`Object::index`] gives them, to keys.
    index: HashMap<String, BTreeSet<Key>>,
}

/// Objects by key and by index value.
#[derive(Debug)]
pub struct Store<T> {
    state: RwLock<State<T>>,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self {
            state: RwLock::new(State {
                objects: BTreeMap::new(),
                index: HashMap::new(),
            }),
        }
    }
}

impl<T: Object> Store<T> {
    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.get_key(&Key::new(namespace, name))
    }

    /// One object.
    pub fn get_key(&self, key: &Key) -> Option<Arc<T>> {
        self.read().objects.get(key).cloned()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.read().objects.is_empty()
    }

    /// All objects in key order.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.read().objects.values().cloned().collect()
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.read().objects.len()
    }

    /// The objects of one namespace, by name.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<T>> {
        self.read()
            .objects
            .range(Key::new(namespace, "")..)
            .take_while(|(key, _)| key.namespace == namespace)
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// The objects with this index value.
    pub fn by_index(&self, value: &str) -> Vec<Arc<T>> {
        let state = self.read();
        let keys = state.index.get(value).into_iter().flatten();
        keys.filter_map(|key| state.objects.get(key).cloned()).collect()
    }

    /// Stores an object and returns what it replaces.
    pub(super) fn put(&self, object: &Arc<T>) -> Option<Arc<T>> {
        let mut state = self.write();
        let key = object.meta().key();
        let old = state.objects.insert(key.clone(), object.clone());
        if let Some(old) = &old {
            state.unindex(&key, old);
        }
        for value in object.index() {
            state.index.entry(value).or_default().insert(key.clone());
        }
        old
    }

    /// Removes an object and returns it.
    pub(super) fn remove(&self, key: &Key) -> Option<Arc<T>> {
        let mut state = self.write();
        let old = state.objects.remove(key)?;
        state.unindex(key, &old);
        Some(old)
    }

    /// Keys that are not in `keep`.
    pub(super) fn keys_except(&self, keep: &BTreeSet<Key>) -> Vec<Key> {
        self.read()
            .objects
            .keys()
            .filter(|key| !keep.contains(*key))
            .cloned()
            .collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State<T>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State<T>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Object> State<T> {
    fn unindex(&mut self, key: &Key, old: &T) {
        for value in old.index() {
            if let Some(keys) = self.index.get_mut(&value) {
                keys.remove(key);
                if keys.is_empty() {
                    self.index.remove(&value);
                }
            }
        }
    }
}
