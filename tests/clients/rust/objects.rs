//! Typed and untyped objects: every verb, patches, apply, subresources, metadata only; and what discovery finds.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Node, ServiceAccount};
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions,
    ValidationDirective,
};
use kube::discovery::{Discovery, Scope, verbs};
use kube::{ResourceExt, core::GroupVersionKind};
use serde_json::json;

use super::{Session, config_map, refused};

pub async fn all(session: Session) -> Result<()> {
    let maps: Api<ConfigMap> = session.api();
    let post = PostParams::default();
    let made = maps.create(&post, &config_map("a", "x", "1")).await?;
    ensure!(maps.get("a").await? == made, "what was made is what is there");
    refused(
        maps.create(&post, &config_map("a", "x", "1")).await,
        409,
        "AlreadyExists",
    )?;
    refused(maps.get("nothing").await, 404, "NotFound")?;
    ensure!(maps.get_opt("nothing").await?.is_none(), "absent");
    let metadata = maps.get_metadata("a").await?;
    ensure!(metadata.metadata.uid == made.metadata.uid, "{metadata:?}");

    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    maps.create(&dry, &config_map("dry", "x", "1")).await?;
    ensure!(maps.get_opt("dry").await?.is_none(), "a dry run stores nothing");

    // Entry: read, change, commit with the version that was read.
    let mut entry = maps
        .entry("a")
        .await?
        .and_modify(|map| drop(map.data.get_or_insert_default().insert("m".into(), "2".into())))
        .or_insert(|| config_map("a", "x", "0"));
    entry.commit(&post).await?;
    ensure!(
        entry.get().data.as_ref().is_some_and(|data| data.len() == 2),
        "{entry:?}"
    );
    refused(maps.replace("a", &post, &made).await, 409, "Conflict")?;

    patches(&maps).await?;
    lists(&maps).await?;
    deployments(&session).await?;

    let wrong = DeleteParams::default().preconditions(Preconditions {
        uid: Some("someone-else".into()),
        ..Preconditions::default()
    });
    refused(maps.delete("a", &wrong).await, 409, "Conflict")?;
    let gone = maps.delete("a", &DeleteParams::background()).await?;
    ensure!(
        gone.right().and_then(|status| status.details).map(|d| d.uid) == made.uid(),
        "the answer names what was deleted"
    );
    let accounts: Api<ServiceAccount> = session.api();
    let token = accounts
        .create_token_request(
            "default",
            &post,
            &serde_json::from_value(
                json!({"metadata": {}, "spec": {"audiences": [], "expirationSeconds": 600}}),
            )?,
        )
        .await?;
    ensure!(
        token
            .status
            .is_some_and(|status| status.token.split('.').count() == 3),
        "a token"
    );
    Ok(())
}

async fn patches(maps: &Api<ConfigMap>) -> Result<()> {
    let none = PatchParams::default();
    let merged = maps
        .patch("a", &none, &Patch::Merge(json!({"data": {"m": null, "n": "3"}})))
        .await?;
    ensure!(
        merged.data.as_ref().is_some_and(|data| data.len() == 2),
        "{merged:?}"
    );
    let strategic = json!({"metadata": {"labels": {"l": "1"}}, "data": {"k": "4"}});
    let strategic = maps.patch("a", &none, &Patch::Strategic(strategic)).await?;
    ensure!(strategic.labels().len() == 2, "{strategic:?}");

    // Apply: the first field of mine, a conflict with what is another's, and by force.
    let mine = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": value}});
    let conflict = maps
        .patch("a", &PatchParams::apply("applier"), &Patch::Apply(mine("5")))
        .await;
    let message = refused(conflict, 409, "Conflict")?;
    ensure!(message.contains("conflict"), "{message}");
    let forced = maps
        .patch(
            "a",
            &PatchParams::apply("applier").force(),
            &Patch::Apply(mine("5")),
        )
        .await?;
    ensure!(
        forced
            .managed_fields()
            .iter()
            .any(|entry| entry.manager.as_deref() == Some("applier")
                && entry.operation.as_deref() == Some("Apply")),
        "{forced:?}"
    );
    let again = maps
        .patch("a", &PatchParams::apply("applier"), &Patch::Apply(mine("5")))
        .await?;
    ensure!(
        again.resource_version() == forced.resource_version(),
        "the same again changes nothing"
    );
    let mut strict = PatchParams::apply("applier");
    strict.field_validation = Some(ValidationDirective::Strict);
    let unknown = json!({"apiVersion": "v1", "kind": "ConfigMap", "nonsense": 1});
    // Upstream calls it an error of its own.
    let message = refused(maps.patch("a", &strict, &Patch::Apply(unknown)).await, 500, "")?;
    ensure!(
        message.contains(".nonsense: field not declared in schema"),
        "{message}"
    );
    Ok(())
}

async fn lists(maps: &Api<ConfigMap>) -> Result<()> {
    for number in 0..7 {
        maps.create(
            &PostParams::default(),
            &config_map(&format!("p{number}"), "paged", "1"),
        )
        .await?;
    }
    let mut params = ListParams::default().labels("app=paged").limit(3);
    let mut names = Vec::new();
    loop {
        let page = maps.list(&params).await?;
        names.extend(page.items.iter().map(ResourceExt::name_any));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    ensure!(names == ["p0", "p1", "p2", "p3", "p4", "p5", "p6"], "{names:?}");
    let one = maps
        .list_metadata(&ListParams::default().fields("metadata.name=p3"))
        .await?;
    ensure!(
        one.items.len() == 1 && one.items[0].labels().len() == 1,
        "{one:?}"
    );
    let all = ListParams::default().labels("app=paged");
    maps.delete_collection(&DeleteParams::default(), &all).await?;
    ensure!(maps.list(&all).await?.items.is_empty(), "a collection goes");
    Ok(())
}

async fn deployments(session: &Session) -> Result<()> {
    let deployments: Api<Deployment> = session.api();
    let spec = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
        "replicas": 0, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "busybox:1.36"}]}},
    }});
    let apply = PatchParams::apply("applier");
    deployments.patch("d", &apply, &Patch::Apply(&spec)).await?;
    let scale = deployments.get_scale("d").await?;
    ensure!(
        scale.spec.is_some_and(|spec| spec.replicas.unwrap_or(0) == 0),
        "scale"
    );
    let scaled = deployments
        .patch_scale(
            "d",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"replicas": 3}})),
        )
        .await?;
    ensure!(scaled.spec.is_some_and(|spec| spec.replicas == Some(3)), "scaled");
    let status = json!({"status": {"conditions": [{"type": "Tested", "status": "True"}]}});
    let stated = deployments
        .patch_status("d", &PatchParams::default(), &Patch::Strategic(status))
        .await?;
    let conditions = stated
        .status
        .and_then(|status| status.conditions)
        .unwrap_or_default();
    ensure!(
        conditions.iter().any(|condition| condition.type_ == "Tested"),
        "{conditions:?}"
    );
    ensure!(
        deployments
            .restart("d")
            .await?
            .spec
            .and_then(|spec| spec.template.metadata)
            .is_some_and(|metadata| metadata.annotations.is_some()),
        "restarted"
    );
    deployments
        .delete("d", &DeleteParams::foreground())
        .await
        .map(drop)?;

    // Nodes are cordoned by a patch.
    let nodes: Api<Node> = Api::all(session.client.clone());
    let node = nodes.list(&ListParams::default()).await?;
    ensure!(
        node.items.iter().all(|node| node
            .spec
            .as_ref()
            .is_some_and(|spec| spec.unschedulable != Some(true))),
        "{node:?}"
    );
    Ok(())
}

pub async fn discovery(session: Session) -> Result<()> {
    let classic = Discovery::new(session.client.clone()).run().await?;
    let aggregated = Discovery::new(session.client.clone()).run_aggregated().await?;
    let names = |discovery: &Discovery| -> Vec<String> {
        discovery
            .groups_alphabetical()
            .iter()
            // Other tests' definitions come and go.
            .filter(|group| !group.name().ends_with("example.com"))
            .flat_map(|group| {
                group
                    .recommended_resources()
                    .into_iter()
                    .map(|(resource, _)| format!("{}/{}/{}", group.name(), resource.version, resource.plural))
            })
            .collect()
    };
    let (mut one, mut other) = (names(&classic), names(&aggregated));
    one.sort();
    other.sort();
    ensure!(one == other, "two discoveries differ: {one:?} {other:?}");
    ensure!(one.len() > 50, "{one:?}");

    let (resource, capabilities) = aggregated
        .resolve_gvk(&GroupVersionKind::gvk("apps", "v1", "Deployment"))
        .context("Deployment")?;
    ensure!(
        capabilities.scope == Scope::Namespaced
            && capabilities.supports_operation(verbs::WATCH)
            && capabilities
                .subresources
                .iter()
                .any(|(sub, _)| sub.plural == "scale"),
        "{capabilities:?}"
    );
    let any: Api<DynamicObject> = Api::namespaced_with(session.client.clone(), &session.namespace, &resource);
    ensure!(
        any.list(&ListParams::default()).await?.items.is_empty(),
        "none yet"
    );

    // Whatever discovery says can be listed is listed, without types.
    let mut objects = 0;
    for group in classic.groups() {
        if group.name().ends_with("example.com") {
            continue;
        }
        for (resource, capabilities) in group.recommended_resources() {
            if !capabilities.supports_operation(verbs::LIST) {
                continue;
            }
            let any: Api<DynamicObject> = Api::all_with(session.client.clone(), &resource);
            let list = any
                .list(&ListParams::default())
                .await
                .with_context(|| format!("{resource:?}"))?;
            let types = list.types;
            ensure!(types.kind == format!("{}List", resource.kind), "{types:?}");
            objects += list.items.len();
        }
    }
    ensure!(objects > 100, "{objects} objects");
    let version = session.client.apiserver_version().await?;
    ensure!(version.major == "1" && version.minor == "33", "{version:?}");
    Ok(())
}
