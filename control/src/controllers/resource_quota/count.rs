//! Counting through the API.

use std::collections::HashMap;
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::Value;

use crate::admission::resource_quota::{Amounts, Kinds, add, is_plain, number, scope, usage_of};
use crate::controllers::api::{Api, Error, JSON, Resource};
use crate::controllers::discovery::discover;
use crate::object::GroupResource;

/// Counts objects; remembers in which version a resource is served.
#[derive(Debug)]
pub struct Counter {
    api: Api,
    versions: Mutex<HashMap<GroupResource, Resource>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct List {
    metadata: Metadata,
    items: Vec<Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    remaining_item_count: Option<i64>,
}

impl Counter {
    /// Through this API.
    pub fn new(api: Api) -> Self {
        Self {
            api,
            versions: Mutex::default(),
        }
    }

    /// What is used in a namespace of the resources in `hard`. Resources that nothing could count are left out.
    pub async fn used(&self, namespace: &str, scopes: &[Value], hard: &Amounts) -> Result<Amounts, Error> {
        let mut used = Amounts::new();
        for resource in Kinds::of(hard.keys()).resources() {
            let Some(served) = self.served(&resource).await? else {
                continue;
            };
            let counts =
                |key: &&String| Kinds::of(std::iter::once(*key)).has(&resource.group, &resource.resource);
            for key in hard.keys().filter(counts) {
                used.entry(key.clone()).or_insert_with(|| number(0));
            }
            let path = served.path(namespace);
            if is_plain(&resource) {
                // All count the same, so their number is enough.
                let list: List = self.api.get_path(&format!("{path}?limit=1"), JSON).await?;
                let count = list.items.len() as i64 + list.metadata.remaining_item_count.unwrap_or(0);
                let each = usage_of(&resource, &Value::Null).counted(scopes, hard);
                for key in each.into_keys() {
                    used.insert(key, number(count));
                }
                continue;
            }
            let list: List = self.api.get_path(&path, JSON).await?;
            for object in &list.items {
                add(&mut used, &usage_of(&resource, object).counted(scopes, hard));
            }
        }
        Ok(used)
    }

    /// The resource in the version in which it is served; `None` if there is none such in namespaces.
    async fn served(&self, resource: &GroupResource) -> Result<Option<Resource>, Error> {
        let known = || {
            // One map access; nothing can panic in between.
            let versions = self
                .versions
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            versions.get(resource).cloned()
        };
        if let Some(known) = known() {
            return Ok(Some(known));
        }
        let found = discover(&self.api).await?;
        let namespaced = found
            .into_iter()
            .map(|found| found.resource)
            .filter(|resource| resource.namespaced)
            .map(|resource| (GroupResource::new(&resource.group, &resource.plural), resource));
        self.versions
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .extend(namespaced);
        Ok(known())
    }
}

/// The scopes of a quota.
pub fn scopes(quota: &Value) -> Vec<Value> {
    scope::read(quota)
}
