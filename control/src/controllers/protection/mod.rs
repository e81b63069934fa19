//! Lets claims and volumes that are being deleted go once nobody uses them: the other half of the admission plug-in
//! StorageObjectInUseProtection, which gives them their finalizers.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/volume/pvcprotection` and `pvprotection`.

mod claim;
#[cfg(test)]
mod tests;
mod volume;

use tokio::task::JoinSet;

use super::Context;
use super::api::{Api, Error, Resource};
use super::model::Meta;

/// Starts both controllers.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    claim::start(context, tasks);
    volume::start(context, tasks);
}

/// Adds or removes a finalizer of the live object.
async fn set_finalizer(
    api: &Api,
    resource: &Resource,
    object: &Meta,
    finalizer: &str,
    there: bool,
) -> Result<(), Error> {
    let place = (
        object.namespace.as_str(),
        object.name.as_str(),
        object.uid.as_str(),
    );
    api.edit(resource, place, "", |live| {
        let deleted = !live["metadata"]["deletionTimestamp"].is_null();
        // Nothing may be added to what is being deleted, and nothing taken from what is not.
        if deleted == there {
            return false;
        }
        let list = &mut live["metadata"]["finalizers"];
        if list.is_null() {
            *list = serde_json::json!([]);
        }
        let Some(list) = list.as_array_mut() else {
            return false;
        };
        let before = list.len();
        list.retain(|one| one != finalizer);
        if there {
            list.push(finalizer.into());
        }
        list.len() != before
    })
    .await
    .map(drop)
}
