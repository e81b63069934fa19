//! What a CronJob does while a job of its is still running, and while it is suspended.

use std::collections::BTreeSet;

use keelson_control::controllers::api::resources;
use serde_json::json;

use crate::hollow::Cluster;

/// The UIDs of a CronJob's jobs.
async fn jobs(cluster: &Cluster, name: &str) -> BTreeSet<String> {
    let jobs = cluster.list(resources::jobs(), "default", "").await;
    jobs.iter()
        .filter(|job| job["metadata"]["ownerReferences"][0]["name"] == name)
        .map(|job| job["metadata"]["uid"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_still_run_are_left_replaced_or_waited_for() {
    let cluster = Cluster::start(1).await;
    for name in ["suspended", "Forbid", "Replace", "Allow"] {
        let policy = if name == "suspended" { "Allow" } else { name };
        // Its pods run for ever.
        let template = json!({"metadata": {"labels": {"hollow": "stuck"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
        let cron = json!({"metadata": {"name": name.to_lowercase()}, "spec": {
            "schedule": "@every 1s", "suspend": name == "suspended", "concurrencyPolicy": policy,
            "jobTemplate": {"spec": {"template": template}}}});
        cluster
            .api
            .create(resources::cron_jobs(), "default", cron)
            .await
            .unwrap();
    }
    let first = cluster
        .wait("a job to replace", || async {
            let now = jobs(&cluster, "replace").await;
            (now.len() == 1).then_some(now)
        })
        .await;
    cluster
        .wait("a job in its place", || async {
            let now = jobs(&cluster, "replace").await;
            (now.len() == 1 && now != first).then_some(())
        })
        .await;
    cluster
        .wait("two jobs side by side", || async {
            (jobs(&cluster, "allow").await.len() > 1).then_some(())
        })
        .await;
    // Of the one that waits the second start was due before that of the others.
    assert_eq!(jobs(&cluster, "forbid").await.len(), 1);
    assert!(jobs(&cluster, "suspended").await.is_empty());
}
