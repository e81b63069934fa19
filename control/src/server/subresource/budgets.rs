//! Which PodDisruptionBudgets select a pod: each is read once, and not again for every eviction in its namespace.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use keelson_api::selector::Selector;

use crate::object::Object;

/// Most bytes of budgets of which the selectors are remembered, more than the largest object has: a selector takes up to
/// twelve times its text.
const MOST_BYTES: usize = 4 << 20;

/// The selectors of budgets that have been read.
#[derive(Debug, Default)]
pub struct Budgets(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By the budget's UID.
    read: HashMap<String, Read>,
    /// Of the budgets that these were read from.
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Read {
    version: u64,
    bytes: usize,
    /// `None` of one that is none: it selects nothing.
    selector: Option<Arc<Selector>>,
}

impl Budgets {
    /// Whether a budget selects a pod.
    pub fn selects(&self, budget: &Object, pod: &Object) -> bool {
        self.selector(budget)
            .is_some_and(|selector| selector.matches_with(|label| pod.labels.get(label)))
    }

    fn selector(&self, budget: &Object) -> Option<Arc<Selector>> {
        let version = budget.resource_version;
        if let Some(read) = self.known(|known| known.of(&budget.uid, version)) {
            return read.selector;
        }
        let selector = Selector::from_label_selector(&budget.value()["spec"]["selector"]);
        let selector = selector.ok().map(Arc::new);
        let read = Read {
            version,
            bytes: budget.bytes.len(),
            selector: selector.clone(),
        };
        self.known(|known| known.put(&budget.uid, read));
        selector
    }

    fn known<T>(&self, with: impl FnOnce(&mut Known) -> T) -> T {
        // Nothing in there panics half-way.
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn of(&self, uid: &str, version: u64) -> Option<Read> {
        self.read.get(uid).filter(|read| read.version == version).cloned()
    }

    fn put(&mut self, uid: &str, read: Read) {
        if let Some(old) = self.read.remove(uid) {
            self.bytes -= old.bytes;
        }
        if self.bytes + read.bytes > MOST_BYTES {
            // Those of budgets that are gone are among them.
            (self.read, self.bytes) = (HashMap::new(), 0);
        }
        self.bytes += read.bytes;
        self.read.insert(uid.to_owned(), read);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(uid: &str, version: u64, value: &Value) -> Object {
        let object = Object::describe(value, value.to_string().into());
        Object {
            uid: uid.to_owned(),
            resource_version: version,
            ..object
        }
    }

    fn budget(uid: &str, version: u64, app: &str) -> Object {
        let selector = json!({"matchLabels": {"app": app}});
        object(
            uid,
            version,
            &json!({"metadata": {"name": uid}, "spec": {"selector": selector}}),
        )
    }

    fn pod(app: &str) -> Object {
        object(
            "p",
            1,
            &json!({"metadata": {"name": "p", "labels": {"app": app}}}),
        )
    }

    #[test]
    fn a_budget_is_read_once_for_each_version() {
        let budgets = Budgets::default();
        assert!(budgets.selects(&budget("b", 1, "web"), &pod("web")));
        assert!(!budgets.selects(&budget("b", 1, "web"), &pod("db")));
        // What was read of that version counts.
        assert!(budgets.selects(&budget("b", 1, "db"), &pod("web")));
        assert!(!budgets.selects(&budget("b", 2, "db"), &pod("web")));
        assert!(budgets.selects(&budget("b", 2, "db"), &pod("db")));
        // An empty selector selects every pod, one that is not there selects none, and so does one that is none.
        let with = |uid: &str, selector: Value| object(uid, 1, &json!({"spec": {"selector": selector}}));
        assert!(budgets.selects(&with("empty", json!({})), &pod("web")));
        assert!(!budgets.selects(&with("none", Value::Null), &pod("web")));
        let unknown = json!({"matchExpressions": [{"key": "app", "operator": "Near"}]});
        assert!(!budgets.selects(&with("unknown", unknown), &pod("web")));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let budgets = Budgets::default();
        let large = |number: usize| {
            let notes = "x".repeat(MOST_BYTES / 10);
            let value = json!({"metadata": {"annotations": {"notes": notes}}, "spec": {"selector": {}}});
            object(&format!("b{number}"), 1, &value)
        };
        for number in 0..30 {
            assert!(budgets.selects(&large(number), &pod("web")));
            let known = budgets.0.lock().unwrap();
            let bytes: usize = known.read.values().map(|read| read.bytes).sum();
            assert!(bytes == known.bytes && bytes <= MOST_BYTES, "{bytes}");
            assert!(known.read.contains_key(&format!("b{number}")));
        }
    }
}
