//! A CustomResourceDefinition and its objects, without derived types: as dynamic objects with every verb.

use anyhow::{Context as _, Result, ensure};
use futures::TryStreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchParams,
};
use kube::core::GroupVersionKind;
use kube::runtime::{conditions, wait::await_condition};
use kube::{Client, ResourceExt, discovery};
use serde_json::json;

use super::{Session, refused, within};
use crate::context::PATIENCE;

/// Defines `things` of a group and waits until they are served.
pub async fn define(client: &Client, group: &str) -> Result<ApiResource> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = format!("things.{group}");
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 0},
            "color": {"type": "string", "default": "red"},
        }},
        "status": {"type": "object", "properties": {"size": {"type": "integer"}}},
    }});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
                "selectableFields": [{"jsonPath": ".spec.color"}],
            }],
        },
    });
    definitions
        .patch(&name, &PatchParams::apply("tester"), &Patch::Apply(definition))
        .await?;
    let established = await_condition(definitions, &name, conditions::is_crd_established());
    within(PATIENCE, established).await??;
    let kind = GroupVersionKind::gvk(group, "v1", "Thing");
    let (resource, _) = discovery::pinned_kind(client, &kind).await?;
    Ok(resource)
}

pub async fn all(session: Session) -> Result<()> {
    let group = format!("{}.example.com", session.namespace);
    let resource = define(&session.client, &group).await?;
    let things: Api<DynamicObject> =
        Api::namespaced_with(session.client.clone(), &session.namespace, &resource);
    let thing =
        |name: &str, spec: serde_json::Value| DynamicObject::new(name, &resource).data(json!({"spec": spec}));
    let post = PostParams::default();
    let made = things
        .create(&post, &thing("a", json!({"size": 1, "extra": true})))
        .await?;
    ensure!(
        made.data["spec"] == json!({"size": 1, "color": "red"}),
        "{made:?}"
    );
    let message = refused(
        things.create(&post, &thing("b", json!({"size": -1}))).await,
        422,
        "Invalid",
    )?;
    ensure!(message.contains("spec.size"), "{message}");
    let mut changed = made.clone();
    changed.data["spec"]["size"] = json!(2);
    let changed = things.replace("a", &post, &changed).await?;
    ensure!(changed.metadata.generation == Some(2), "{changed:?}");
    refused(things.replace("a", &post, &made).await, 409, "Conflict")?;
    let status = Patch::Merge(json!({"status": {"size": 2}, "spec": {"size": 99}}));
    let stated = things.patch_status("a", &PatchParams::default(), &status).await?;
    ensure!(
        stated.data["status"]["size"] == 2 && stated.data["spec"]["size"] == 2,
        "{stated:?}"
    );
    let scale = things.get_scale("a").await?;
    ensure!(scale.spec.is_some_and(|spec| spec.replicas == Some(2)), "scale");
    let applied = things
        .patch(
            "c",
            &PatchParams::apply("tester"),
            &Patch::Apply(thing("c", json!({"size": 3, "color": "blue"}))),
        )
        .await?;
    let version = applied.resource_version().context("version")?;
    let blue = things
        .list(&ListParams::default().fields("spec.color=blue"))
        .await?;
    ensure!(
        blue.items.len() == 1 && blue.items[0].name_any() == "c",
        "{blue:?}"
    );

    things.delete("c", &DeleteParams::default()).await?;
    let events: Vec<_> = things
        .watch(&WatchParams::default().timeout(1), &version)
        .await?
        .try_collect()
        .await?;
    ensure!(events.len() == 1, "{events:?}");

    let definitions: Api<CustomResourceDefinition> = Api::all(session.client.clone());
    let name = format!("things.{group}");
    let uid = definitions.get(&name).await?.uid().context("uid")?;
    definitions.delete(&name, &DeleteParams::default()).await?;
    let gone = await_condition(definitions, &name, conditions::is_deleted(&uid));
    within(PATIENCE, gone).await??;
    refused(things.list(&ListParams::default()).await, 404, "NotFound").map(drop)
}
