//! Values that many objects have alike, kept once: the labels, owners and tolerations of a workload's pods.
//!
//! A map of two labels takes half a kilobyte, and each pod is in several caches.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;
use std::ops::Deref;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Container, OwnerReference, Toleration};

/// Most values that a pool looks for; those that nobody has any more make room first.
const MOST: usize = 4096;

/// A value that is the same one for all who have an equal one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared<T>(Arc<T>);

/// The values of one type.
pub type Pool<T> = LazyLock<Mutex<HashSet<Arc<T>>>>;

/// What can be shared.
pub trait Alike: Hash + Eq + Default + Send + Sync + 'static {
    /// Where values of this type are kept.
    fn pool() -> &'static Pool<Self>;
    /// Whether it is small enough to be kept for others: annotations may be a quarter of a megabyte.
    fn is_small(&self) -> bool;
}

/// Most bytes or parts of a value that is shared.
const LONGEST: usize = 1024;

macro_rules! alike {
    ($($type:ty: $small:expr),*) => {$(
        impl Alike for $type {
            fn pool() -> &'static Pool<Self> {
                static POOL: Pool<$type> = LazyLock::new(Mutex::default);
                &POOL
            }

            fn is_small(&self) -> bool {
                let small: fn(&Self) -> bool = $small;
                small(self)
            }
        }
    )*};
}

alike!(
    String: |text| text.len() <= LONGEST,
    BTreeMap<String, String>: |map| {
        map.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() <= LONGEST
    },
    // Their texts are names.
    Vec<Container>: |list| list.len() <= 16 && list.iter().all(|container| container.ports.len() <= 16),
    Vec<OwnerReference>: |list| list.len() <= 16,
    Vec<Toleration>: |list| list.len() <= 16
);

impl<T: Alike> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        if !value.is_small() {
            return Self(Arc::new(value));
        }
        let mut pool = T::pool().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = pool.get(&value) {
            return Self(Arc::clone(known));
        }
        if pool.len() >= MOST {
            pool.retain(|value| Arc::strong_count(value) > 1);
            if pool.len() > MOST / 2 {
                // Values that are hardly shared: who has them keeps them, but they are not looked for any more.
                pool.clear();
            }
        }
        let value = Arc::new(value);
        pool.insert(Arc::clone(&value));
        Self(value)
    }
}

impl<T: Alike> Default for Shared<T> {
    fn default() -> Self {
        T::default().into()
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Alike + Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(deserializer).map(|value| value.unwrap_or_default().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_the_pool_is_bounded() {
        let labels = |text: &str| Shared::from(BTreeMap::from([("app".to_owned(), text.to_owned())]));
        assert!(Arc::ptr_eq(&labels("web").0, &labels("web").0));
        assert_ne!(labels("web"), labels("db"));
        let kept: Vec<_> = (0..2 * MOST).map(|number| labels(&number.to_string())).collect();
        assert_eq!(*kept[2 * MOST - 1], *labels(&(2 * MOST - 1).to_string()));
        assert!(BTreeMap::<String, String>::pool().lock().unwrap().len() <= MOST);
        drop(kept);
        labels("new");
        assert!(
            Arc::ptr_eq(&labels("again").0, &labels("again").0),
            "there is room again"
        );
    }

    #[test]
    fn what_is_large_is_not_kept() {
        let large = || Shared::from("x".repeat(LONGEST + 1));
        assert!(!Arc::ptr_eq(&large().0, &large().0));
        assert_eq!(large(), large());
    }

    #[test]
    fn null_is_nothing() {
        let labels: Shared<BTreeMap<String, String>> = serde_json::from_str("null").unwrap();
        assert!(labels.is_empty());
    }
}
