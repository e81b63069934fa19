//! What a CronJob does while a job of its is still running, and while it is suspended.

use std::collections::BTreeSet;

use keelson_control::controllers::api::{Patch, resources};
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
    // Their pods run for ever.
    let template = json!({"metadata": {"labels": {"hollow": "stuck"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
    // Jobs are named by the minute for which they are made, so the first one of each is made here.
    let mut first = Vec::new();
    for policy in ["Forbid", "Replace", "Allow"] {
        let name = policy.to_lowercase();
        let cron = json!({"metadata": {"name": name}, "spec": {
            "schedule": "@every 1s", "suspend": true, "concurrencyPolicy": policy,
            "jobTemplate": {"spec": {"template": template}}}});
        let cron = cluster
            .api
            .create(resources::cron_jobs(), "default", cron)
            .await
            .unwrap();
        let owner = json!({"apiVersion": "batch/v1", "kind": "CronJob", "name": name,
            "uid": cron["metadata"]["uid"], "controller": true});
        let job = json!({"metadata": {"name": format!("{name}-first"), "ownerReferences": [owner]},
            "spec": {"template": template}});
        let job = cluster
            .api
            .create(resources::jobs(), "default", job)
            .await
            .unwrap();
        first.push(job["metadata"]["uid"].as_str().unwrap().to_owned());
    }
    let patch = json!({"spec": {"suspend": false}});
    for name in ["forbid", "replace", "allow"] {
        let cron = resources::cron_jobs();
        let patched = cluster
            .api
            .patch(cron, "default", name, "", Patch::Merge, &patch)
            .await;
        patched.unwrap();
    }
    cluster
        .wait("a job in the place of the first", || async {
            let now = jobs(&cluster, "replace").await;
            (now.len() == 1 && !now.contains(&first[1])).then_some(())
        })
        .await;
    cluster
        .wait("a job beside the first", || async {
            let now = jobs(&cluster, "allow").await;
            (now.len() > 1 && now.contains(&first[2])).then_some(())
        })
        .await;
    cluster
        .wait("word that the first one still runs", || async {
            let events = cluster.list(resources::events(), "default", "").await;
            let told = events.iter().any(|event| event["reason"] == "JobAlreadyActive");
            told.then_some(())
        })
        .await;
    assert_eq!(jobs(&cluster, "forbid").await, BTreeSet::from([first[0].clone()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_suspended_makes_no_jobs() {
    let cluster = Cluster::start(1).await;
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
    for (name, suspend) in [("suspended", true), ("running", false)] {
        let cron = json!({"metadata": {"name": name}, "spec": {"schedule": "@every 1s", "suspend": suspend,
            "jobTemplate": {"spec": {"template": template}}}});
        cluster
            .api
            .create(resources::cron_jobs(), "default", cron)
            .await
            .unwrap();
    }
    cluster
        .wait("a job of the other one, which was made later", || async {
            (!jobs(&cluster, "running").await.is_empty()).then_some(())
        })
        .await;
    assert!(jobs(&cluster, "suspended").await.is_empty());
}
