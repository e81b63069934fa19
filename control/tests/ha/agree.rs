//! What one server has acknowledged holds at the others.

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;

/// A read at another server, right after a write, sees it; and so does a change that begins with what is stored.
pub async fn reads_are_current(clients: &[kube::Client]) {
    let maps = |at: usize| Api::<ConfigMap>::namespaced(clients[at % clients.len()].clone(), "default");
    for round in 0..60 {
        let name = format!("current-{round}");
        let mut map = ConfigMap::default();
        map.metadata.name = Some(name.clone());
        let made = maps(round).create(&PostParams::default(), &map).await.unwrap();
        let got = maps(round + 1).get(&name).await.unwrap();
        assert_eq!(got, made);
        map.metadata.resource_version = got.metadata.resource_version;
        map.data = Some([("k".to_owned(), "v".to_owned())].into());
        let changed = maps(round + 2)
            .replace(&name, &PostParams::default(), &map)
            .await
            .unwrap();
        let only = ListParams::default().fields(&format!("metadata.name={name}"));
        let list = maps(round).list(&only).await.unwrap();
        assert_eq!(
            list.items[0].metadata.resource_version,
            changed.metadata.resource_version
        );
        maps(round + 1)
            .delete(&name, &DeleteParams::default())
            .await
            .unwrap();
        assert_eq!(maps(round + 2).get_opt(&name).await.unwrap(), None);
    }
}

/// An address that is asked for at two servers at once goes to one.
pub async fn addresses_are_given_once(clients: &[kube::Client]) {
    let services = |at: usize| Api::<Service>::namespaced(clients[at % clients.len()].clone(), "default");
    for round in 0..15 {
        let ask = |name: String| -> Service {
            serde_json::from_value(json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                "spec": {"clusterIP": format!("10.43.7.{}", round + 1), "ports": [{"port": 80}]},
            }))
            .unwrap()
        };
        let (a, b) = (ask(format!("a-{round}")), ask(format!("b-{round}")));
        let post = PostParams::default();
        let (first, second) = (services(round), services(round + 1));
        let (a, b) = tokio::join!(first.create(&post, &a), second.create(&post, &b));
        let refused = match (a, b) {
            (Ok(_), Err(error)) | (Err(error), Ok(_)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(refused.contains("provided IP is already allocated"), "{refused}");
    }
    // What is given back can be had again, at another server.
    services(0)
        .delete_collection(
            &DeleteParams::default(),
            &ListParams::default().fields("metadata.name=a-0"),
        )
        .await
        .unwrap();
    services(0)
        .delete_collection(
            &DeleteParams::default(),
            &ListParams::default().fields("metadata.name=b-0"),
        )
        .await
        .unwrap();
    let again = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "again"},
        "spec": {"clusterIP": "10.43.7.1", "ports": [{"port": 80}]},
    }));
    services(1)
        .create(&PostParams::default(), &again.unwrap())
        .await
        .unwrap();
}
