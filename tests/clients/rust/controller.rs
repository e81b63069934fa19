//! An operator as people write them: a controller of a custom resource that owns ConfigMaps, with a finalizer and a status.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::watcher;
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::customs::define;
use super::{Session, within};
use crate::context::PATIENCE;

struct Operator {
    session: Session,
    resource: ApiResource,
}

#[derive(Debug)]
struct Failure(String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// A ConfigMap with the thing's size, owned by it, and the size in its status.
async fn reconcile(thing: Arc<DynamicObject>, operator: Arc<Operator>) -> Result<Action, Failure> {
    let things = operator.things();
    let step = async |event: Event<DynamicObject>| -> kube::Result<Action> {
        let maps: Api<ConfigMap> = operator.session.api();
        match event {
            Event::Apply(thing) => {
                let size = &thing.data["spec"]["size"];
                let owner = thing.controller_owner_ref(&operator.resource);
                let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": {"name": format!("of-{}", thing.name_any()), "ownerReferences": [owner]},
                    "data": {"size": size.to_string()}});
                let apply = PatchParams::apply("operator").force();
                maps.patch(&format!("of-{}", thing.name_any()), &apply, &Patch::Apply(map))
                    .await?;
                let status = json!({"apiVersion": thing.types.as_ref().map(|types| &types.api_version), "kind": "Thing",
                    "status": {"size": size}});
                things
                    .patch_status(&thing.name_any(), &apply, &Patch::Apply(status))
                    .await?;
            }
            Event::Cleanup(thing) => {
                // Cleaning up may be tried more than once.
                let name = format!("cleaned-{}", thing.name_any());
                let mark = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": "cleaned"}}});
                let apply = PatchParams::apply("operator").force();
                maps.patch(&name, &apply, &Patch::Apply(mark)).await?;
            }
        }
        Ok(Action::await_change())
    };
    finalizer(&things, "example.com/operator", thing, step)
        .await
        .map_err(|error| Failure(format!("{error:?}")))
}

impl Operator {
    fn things(&self) -> Api<DynamicObject> {
        Api::namespaced_with(
            self.session.client.clone(),
            &self.session.namespace,
            &self.resource,
        )
    }
}

pub async fn all(session: Session) -> Result<()> {
    let group = format!("{}.example.com", session.namespace);
    let resource = define(&session.client, &group).await?;
    let maps: Api<ConfigMap> = session.api();
    let client = session.client.clone();
    let operator = Arc::new(Operator { session, resource });
    let things = operator.things();
    let controller = Controller::new_with(
        things.clone(),
        watcher::Config::default(),
        operator.resource.clone(),
    )
    .owns(maps.clone(), watcher::Config::default())
    .with_config(Config::default().debounce(Duration::from_millis(20)));
    let again = |_: Arc<DynamicObject>, error: &Failure, _: Arc<Operator>| {
        println!("reconcile: {error}");
        Action::requeue(Duration::from_secs(1))
    };
    let running = controller
        .run(reconcile, again, Arc::clone(&operator))
        .for_each(|_| std::future::ready(()));
    let running = tokio::spawn(running);

    let thing = |size: i32| DynamicObject::new("t", &operator.resource).data(json!({"spec": {"size": size}}));
    things.create(&PostParams::default(), &thing(1)).await?;
    reached(&maps, &things, "1").await?;
    let bigger = Patch::Merge(json!({"spec": {"size": 2}}));
    things.patch("t", &PatchParams::default(), &bigger).await?;
    reached(&maps, &things, "2").await?;
    maps.delete("of-t", &DeleteParams::default()).await?;
    reached(&maps, &things, "2")
        .await
        .context("what is deleted comes back")?;
    things.delete("t", &DeleteParams::default()).await?;
    eventually(async || Ok(things.get_opt("t").await?.is_none()))
        .await
        .context("the finalizer goes")?;
    ensure!(maps.get_opt("cleaned-t").await?.is_some(), "cleaned up first");
    eventually(async || Ok(maps.get_opt("of-t").await?.is_none()))
        .await
        .context("what it owns goes with it")?;
    running.abort();
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    definitions
        .delete(&format!("things.{group}"), &DeleteParams::default())
        .await?;
    ensure!(
        maps.list(&ListParams::default().labels("app=cleaned"))
            .await?
            .items
            .len()
            == 1,
        "once"
    );
    Ok(())
}

async fn reached(maps: &Api<ConfigMap>, things: &Api<DynamicObject>, size: &str) -> Result<()> {
    eventually(async || {
        let map = maps.get_opt("of-t").await?;
        let made = map.is_some_and(|map| {
            map.meta().deletion_timestamp.is_none() && map.data.is_some_and(|data| data["size"] == size)
        });
        let seen = things.get("t").await?.data["status"]["size"].to_string();
        Ok(made && seen == size)
    })
    .await
    .with_context(|| format!("size {size}"))
}

/// Looks again until it is so: what the test waits for is spread over several objects.
async fn eventually(check: impl AsyncFn() -> Result<bool>) -> Result<()> {
    within(PATIENCE, async {
        while !check().await? {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    })
    .await?
}
