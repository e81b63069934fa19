//! A tenant, a node and a stranger against the real server over TLS: what each tries must fail as upstream fails it,
//! and what each may do must work. Line "A tenant escalates ..." and "One node's credentials ..." of the attack list.

mod cluster;
mod denials;
mod node;
mod snapshots;
mod subresources;
mod tenant;
mod workloads;

use serde_json::json;

use cluster::{Cluster, message};
use denials::denials;
use node::node;
use snapshots::snapshots;
use subresources::subresources;
use tenant::tenant;
use workloads::{services, workloads};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks() {
    let cluster = Cluster::start().await;
    let admin = cluster.certificate("admin").await;
    for namespace in ["tenant", "other"] {
        let answer = admin
            .create("/api/v1/namespaces", json!({"metadata": {"name": namespace}}))
            .await;
        assert_eq!(answer.0, 201, "{answer:?}");
    }
    strangers(&cluster).await;
    tenant(&cluster, &admin).await;
    node(&cluster, &admin).await;
    services(&admin).await;
    workloads(&cluster, &admin).await;
    snapshots(&cluster, &admin).await;
    denials(&admin).await;
    subresources(&cluster, &admin).await;
    cluster.stop().await;
}

async fn strangers(cluster: &Cluster) {
    let anonymous = cluster.token(None).await;
    assert_eq!(anonymous.get("/version").await.0, 200);
    let answer = anonymous.get("/api/v1/namespaces/default/pods").await;
    assert_eq!(
        (answer.0, message(&answer)),
        (
            403,
            "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" in the \
               namespace \"default\""
        )
    );
    assert_eq!(anonymous.get("/metrics").await.0, 403);
    for forged in [
        "x",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06YWRtaW4ifQ.",
        &"a".repeat(9000),
    ] {
        assert_eq!(
            cluster.token(Some(forged)).await.get("/version").await.0,
            401,
            "{forged:.20}"
        );
    }
}
