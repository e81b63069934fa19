//! Quotas hold although several servers count.

use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ResourceQuota, Service};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

const NAMESPACE: &str = "limited";
const ROOM: usize = 20;

fn of<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// How many of these were let in; all others must have been refused by the quota.
fn admitted<T: std::fmt::Debug>(answers: &[kube::Result<T>]) -> usize {
    for answer in answers {
        let Err(error) = answer else { continue };
        let kube::Error::Api(status) = error else {
            panic!("{error}")
        };
        assert!(
            status.code == 403 && status.message.contains("exceeded quota: q,"),
            "{status:?}"
        );
    }
    answers.iter().filter(|answer| answer.is_ok()).count()
}

fn in_namespace<T>(client: &kube::Client) -> Api<T>
where
    T: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), NAMESPACE)
}

/// Waits until the quota says that so much is used.
async fn is_used(client: &kube::Client, used: &Value) {
    let began = Instant::now();
    loop {
        let quota = in_namespace::<ResourceQuota>(client).get("q").await.unwrap();
        let now = json!(quota.status.and_then(|status| status.used).unwrap_or_default());
        let amounts = used.as_object().unwrap();
        if amounts.iter().all(|(key, amount)| now[key] == *amount) {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{now} instead of {used}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Many creates at all servers at once get in as long as there is room, and no longer.
pub async fn hold(clients: &[kube::Client]) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    super::planes::create(&clients[0], "/api/v1/namespaces", &namespace).await;
    let began = Instant::now();
    while in_namespace::<ConfigMap>(&clients[0])
        .get("kube-root-ca.crt")
        .await
        .is_err()
    {
        assert!(began.elapsed() < Duration::from_secs(40), "no controller works");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let hard = json!({"configmaps": (ROOM + 1).to_string(), "pods": "100", "requests.cpu": "2", "services.nodeports": "1"});
    let quota = of(json!({"metadata": {"name": "q"}, "spec": {"hard": hard}}));
    let quotas = in_namespace::<ResourceQuota>(&clients[0]);
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    is_used(&clients[0], &json!({"configmaps": "1"})).await;

    objects(clients).await;
    compute(clients).await;
    updates(clients).await;
}

async fn create_maps(clients: &[kube::Client], round: &str) -> Vec<kube::Result<ConfigMap>> {
    let creates = (0..4 * ROOM).map(|number| async move {
        let map = of(json!({"metadata": {"name": format!("{round}-{number}")}}));
        let maps = in_namespace::<ConfigMap>(&clients[number % clients.len()]);
        maps.create(&PostParams::default(), &map).await
    });
    join_all(creates).await
}

async fn objects(clients: &[kube::Client]) {
    assert_eq!(admitted(&create_maps(clients, "first").await), ROOM);
    let maps = in_namespace::<ConfigMap>(&clients[1]);
    let there = maps.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(there.len(), ROOM + 1);
    is_used(&clients[1], &json!({"configmaps": (ROOM + 1).to_string()})).await;

    // What is deleted at one server can be used at another at once.
    let gone: Vec<String> = there.iter().filter_map(|map| map.metadata.name.clone()).collect();
    for name in gone.iter().filter(|name| name.starts_with("first-")).take(7) {
        maps.delete(name, &DeleteParams::default()).await.unwrap();
    }
    // Creates that fail for another reason use nothing: one of each name gets in, and the others find it.
    let creates = (0..30).map(|number| async move {
        let map = of(json!({"metadata": {"name": format!("same-{}", number % 3)}}));
        let maps = in_namespace::<ConfigMap>(&clients[number % clients.len()]);
        maps.create(&PostParams::default(), &map).await
    });
    let answers = join_all(creates).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
    for error in answers.into_iter().filter_map(Result::err) {
        assert!(error.to_string().contains("already exists"), "{error}");
    }
    is_used(&clients[2], &json!({"configmaps": (ROOM + 1 - 4).to_string()})).await;
    assert_eq!(admitted(&create_maps(clients, "second").await), 4);
}

async fn compute(clients: &[kube::Client]) {
    // 2 CPUs, and each wants 0.3: six fit.
    let creates = (0..24).map(|number| async move {
        let resources = json!({"requests": {"cpu": "300m"}});
        let containers = json!([{"name": "c", "image": "none", "resources": resources}]);
        let pod = of(json!({
            "metadata": {"generateName": format!("pod-{number}-")},
            "spec": {"containers": containers, "nodeSelector": {"no": "where"}},
        }));
        let pods = in_namespace::<Pod>(&clients[number % clients.len()]);
        pods.create(&PostParams::default(), &pod).await
    });
    assert_eq!(admitted(&join_all(creates).await), 6);
    is_used(&clients[0], &json!({"pods": "6", "requests.cpu": "1800m"})).await;
}

/// A change that makes an object count for more is limited like a new object.
async fn updates(clients: &[kube::Client]) {
    for number in 0..6 {
        let service =
            of(json!({"metadata": {"name": format!("s-{number}")}, "spec": {"ports": [{"port": 80}]}}));
        let services = in_namespace::<Service>(&clients[0]);
        services.create(&PostParams::default(), &service).await.unwrap();
    }
    let patches = (0..6).map(|number| async move {
        let patch = Patch::Merge(json!({"spec": {"type": "NodePort"}}));
        let services = in_namespace::<Service>(&clients[number % clients.len()]);
        let name = format!("s-{number}");
        services.patch(&name, &PatchParams::default(), &patch).await
    });
    assert_eq!(admitted(&join_all(patches).await), 1);
    is_used(&clients[1], &json!({"services.nodeports": "1"})).await;
}
