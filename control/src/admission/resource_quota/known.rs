//! What the objects of a namespace count for. It is kept, so that each is read once, and follows what happens to them, so that
//! a request costs what has changed since the one before and not a walk over its namespace.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::usage::{self, Counted};
use crate::admission::pod_resources::Amounts;
use crate::object::{GroupResource, Object, Reader};

/// What the objects of one kind in a namespace count for.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The revision of the latest look.
    revision: Option<u64>,
    /// By UID.
    objects: HashMap<String, Remembered>,
    /// How many objects count for the same; most pods of a namespace come out of a few templates.
    alike: HashMap<Arc<Counted>, i64>,
}

#[derive(Debug)]
struct Remembered {
    version: u64,
    counted: Arc<Counted>,
}

impl Known {
    /// Comes up to date.
    pub(super) fn follow(&mut self, reader: &dyn Reader, resource: &GroupResource, namespace: &str) {
        let since = self
            .revision
            .and_then(|revision| reader.since(resource, revision));
        let Some((changes, revision)) = since else {
            self.look(reader, resource, namespace);
            return;
        };
        for change in changes
            .iter()
            .filter(|change| change.object.namespace == namespace)
        {
            if change.deleted {
                self.remove(&change.object.uid);
            } else {
                self.put(resource, &change.object);
            }
        }
        self.revision = Some(revision);
    }

    /// Looks at all objects; those that have not changed are not read again.
    fn look(&mut self, reader: &dyn Reader, resource: &GroupResource, namespace: &str) {
        let (objects, revision) = reader.snapshot(resource, namespace);
        let there: HashSet<&str> = objects.iter().map(|object| object.uid.as_str()).collect();
        let gone = self.objects.keys().filter(|uid| !there.contains(uid.as_str()));
        for uid in gone.cloned().collect::<Vec<_>>() {
            self.remove(&uid);
        }
        for object in &objects {
            self.put(resource, object);
        }
        self.revision = Some(revision);
    }

    fn put(&mut self, resource: &GroupResource, object: &Object) {
        let version = object.resource_version;
        if self
            .objects
            .get(&object.uid)
            .is_some_and(|known| known.version == version)
        {
            return;
        }
        self.remove(&object.uid);
        let counted = Arc::new(usage::of(resource, &object.value()));
        let shared = self.alike.get_key_value(&counted);
        let counted = shared.map_or(counted, |(shared, _)| Arc::clone(shared));
        *self.alike.entry(Arc::clone(&counted)).or_default() += 1;
        let remembered = Remembered { version, counted };
        self.objects.insert(object.uid.clone(), remembered);
    }

    fn remove(&mut self, uid: &str) {
        let Some(known) = self.objects.remove(uid) else {
            return;
        };
        if let Some(count) = self.alike.get_mut(&known.counted) {
            *count -= 1;
            if *count == 0 {
                self.alike.remove(&known.counted);
            }
        }
    }

    /// How much is remembered, in objects; nothing of nothing is something, too.
    pub(super) fn weight(&self) -> usize {
        self.objects.len() + 16
    }

    /// Adds what all of them count for to a sum.
    pub(super) fn add_to(&self, scopes: &[Value], wanted: &Amounts, sum: &mut Amounts) {
        for (counted, times) in &self.alike {
            counted.add_to(scopes, wanted, *times, sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::auth::memory::Memory;
    use crate::auth::resources::PODS;

    fn pod(namespace: &str, name: usize, cpu: u64) -> Value {
        json!({
            "metadata": {"name": name.to_string(), "namespace": namespace, "uid": format!("{namespace}/{name}/{cpu}")},
            "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]},
        })
    }

    fn sum(known: &Known) -> i64 {
        let wanted = Amounts::from([("requests.cpu".to_owned(), super::super::number(0))]);
        let mut sum = Amounts::new();
        known.add_to(&[], &wanted, &mut sum);
        sum.get("requests.cpu").map_or(0, |cpu| cpu.value())
    }

    proptest! {
        #[test]
        fn what_is_followed_is_what_is_there(
            steps in prop::collection::vec((any::<bool>(), 0..4usize, 0..4u64, 0..5u8), 0..60),
        ) {
            let memory = Memory::default();
            let mut known = Known::default();
            for (elsewhere, name, cpu, what) in steps {
                let namespace = if elsewhere { "b" } else { "a" };
                match what {
                    0 | 1 => memory.put(&PODS, &pod(namespace, name, cpu)),
                    2 => memory.remove(&PODS, namespace, &name.to_string()),
                    3 => memory.forget(),
                    _ => known.follow(&memory, &PODS, "a"),
                }
            }
            known.follow(&memory, &PODS, "a");
            let mut afresh = Known::default();
            afresh.look(&memory, &PODS, "a");
            prop_assert_eq!(&known.alike, &afresh.alike);
            prop_assert_eq!(known.objects.len(), afresh.objects.len());
            prop_assert_eq!(sum(&known), sum(&afresh));
        }
    }

    #[test]
    fn requests_do_not_walk_over_the_namespace() {
        let memory = Memory::default();
        for name in 0..20_000 {
            memory.put(&PODS, &pod("a", name, 1));
        }
        let mut known = Known::default();
        known.follow(&memory, &PODS, "a");
        assert_eq!((sum(&known), known.alike.len(), memory.lists()), (20_000, 1, 1));
        memory.put(&PODS, &pod("a", 7, 1));
        memory.put(&PODS, &pod("a", 20_000, 5));
        memory.remove(&PODS, "a", "8");
        known.follow(&memory, &PODS, "a");
        assert_eq!((sum(&known), known.alike.len(), memory.lists()), (20_004, 2, 1));
        // What happened meanwhile is not known any more.
        memory.remove(&PODS, "a", "20000");
        memory.forget();
        known.follow(&memory, &PODS, "a");
        assert_eq!((sum(&known), known.alike.len(), memory.lists()), (19_999, 1, 2));
    }
}
