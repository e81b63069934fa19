//! Jobs, CronJobs, DaemonSets and StatefulSets as a user sees them.

use keelson_control::controllers::api::{Patch, resources};
use serde_json::{Value, json};

use crate::hollow::Cluster;

fn template(app: &str, hollow: &str, restart: &str) -> Value {
    json!({"metadata": {"labels": {"app": app, "hollow": hollow}},
        "spec": {"restartPolicy": restart, "containers": [{"name": "c", "image": "a:1"}]}})
}

fn condition(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|list| list.iter().any(|c| c["type"] == kind && c["status"] == "True"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_end() {
    let cluster = Cluster::start(1).await;
    let (api, jobs) = (&cluster.api, resources::jobs());
    let job = |name: &str, hollow: &str| {
        json!({"metadata": {"name": name}, "spec": {"completions": 3, "parallelism": 2, "backoffLimit": 0,
            "template": template(name, hollow, "Never")}})
    };
    api.create(jobs, "default", job("good", "done")).await.unwrap();
    api.create(jobs, "default", job("bad", "fail")).await.unwrap();
    let good = cluster
        .wait_for(jobs, "default", "good", |job| condition(job, "Complete"))
        .await;
    assert_eq!(good["status"]["succeeded"], 3);
    let bad = cluster
        .wait_for(jobs, "default", "bad", |job| condition(job, "Failed"))
        .await;
    let conditions = bad["status"]["conditions"].as_array().unwrap();
    assert!(
        conditions.iter().any(|c| c["reason"] == "BackoffLimitExceeded"),
        "{conditions:#?}"
    );
    let pods = || cluster.list(resources::pods(), "default", "?labelSelector=app%3Dgood");
    let released = |pods: &[Value]| pods.iter().all(|pod| pod["metadata"]["finalizers"].is_null());
    cluster
        .wait("finalizers to go", || async {
            released(&pods().await).then_some(())
        })
        .await;
    assert_eq!(pods().await.len(), 3);
    api.delete(
        jobs,
        "default",
        "good",
        &json!({"propagationPolicy": "Background"}),
    )
    .await
    .unwrap();
    cluster
        .wait("pods to go", || async { pods().await.is_empty().then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cron_jobs_start_jobs() {
    let cluster = Cluster::start(1).await;
    let cron = json!({"metadata": {"name": "tick"}, "spec": {"schedule": "@every 1s", "concurrencyPolicy": "Allow",
        "jobTemplate": {"spec": {"template": template("tick", "done", "Never")}}}});
    cluster
        .api
        .create(resources::cron_jobs(), "default", cron)
        .await
        .unwrap();
    let tick = cluster
        .wait_for(resources::cron_jobs(), "default", "tick", |cron| {
            !cron["status"]["lastSuccessfulTime"].is_null()
        })
        .await;
    assert!(!tick["status"]["lastScheduleTime"].is_null());
    let jobs = cluster.list(resources::jobs(), "default", "").await;
    assert_eq!(jobs[0]["metadata"]["ownerReferences"][0]["name"], "tick");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daemon_sets_cover_nodes() {
    let cluster = Cluster::start(2).await;
    let (api, sets) = (&cluster.api, resources::daemon_sets());
    let set = json!({"metadata": {"name": "agent"}, "spec": {"selector": {"matchLabels": {"app": "agent"}},
        "template": template("agent", "", "Always")}});
    api.create(sets, "default", set).await.unwrap();
    let ready = |wanted: i64| {
        move |set: &Value| {
            set["status"]["numberReady"] == wanted
                && set["status"]["updatedNumberScheduled"] == wanted
                && set["status"]["observedGeneration"] == set["metadata"]["generation"]
        }
    };
    cluster.wait_for(sets, "default", "agent", ready(2)).await;
    cluster.add_node("late", |_| {}).await;
    cluster.wait_for(sets, "default", "agent", ready(3)).await;
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "a:2"}]}}}});
    api.patch(sets, "default", "agent", "", Patch::Strategic, &image)
        .await
        .unwrap();
    cluster.wait_for(sets, "default", "agent", ready(3)).await;
    let pods = cluster.list(resources::pods(), "default", "").await;
    assert!(
        pods.iter()
            .all(|pod| pod["spec"]["containers"][0]["image"] == "a:2")
    );
    let revisions = cluster
        .list(resources::controller_revisions(), "default", "")
        .await;
    assert_eq!(revisions.len(), 2);
    // As Go writes it; upstream's tests look for the revision of a template by its bytes.
    let begins = "{\"spec\":{\"template\":{\"$patch\":\"replace\",\"metadata\":{\"creationTimestamp\":null,\"labels\":";
    for revision in &revisions {
        let data = revision["data"].to_string();
        assert!(data.starts_with(begins), "{data}");
        assert_eq!(data.matches("null").count(), 1, "{data}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stateful_sets_keep_names() {
    let cluster = Cluster::start(1).await;
    let (api, sets) = (&cluster.api, resources::stateful_sets());
    let set = json!({"metadata": {"name": "db"}, "spec": {"replicas": 3, "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}}, "template": template("db", "", "Always")}});
    api.create(sets, "default", set).await.unwrap();
    let ready = |wanted: i64| {
        move |set: &Value| {
            set["status"]["readyReplicas"].as_i64().unwrap_or(0) == wanted
                && set["status"]["replicas"] == wanted
        }
    };
    cluster.wait_for(sets, "default", "db", ready(3)).await;
    let before = cluster.get(resources::pods(), "default", "db-1").await;
    api.delete(resources::pods(), "default", "db-1", &json!({}))
        .await
        .unwrap();
    let again = cluster
        .wait_for(resources::pods(), "default", "db-1", |pod| {
            pod.is_object() && pod["metadata"]["uid"] != before["metadata"]["uid"]
        })
        .await;
    assert_eq!(again["spec"]["hostname"], "db-1");
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "a:2"}]}}}});
    api.patch(sets, "default", "db", "", Patch::Strategic, &image)
        .await
        .unwrap();
    cluster
        .wait_for(sets, "default", "db", |set| {
            set["status"]["currentRevision"] == set["status"]["updateRevision"]
                && set["status"]["updatedReplicas"] == 3
                && ready(3)(set)
                && set["status"]["observedGeneration"] == set["metadata"]["generation"]
        })
        .await;
    let one = json!({"spec": {"replicas": 1}});
    api.patch(sets, "default", "db", "", Patch::Merge, &one)
        .await
        .unwrap();
    cluster.wait_for(sets, "default", "db", ready(1)).await;
    assert!(
        cluster
            .get(resources::pods(), "default", "db-0")
            .await
            .is_object()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_count_healthy_pods() {
    let cluster = Cluster::start(1).await;
    let api = &cluster.api;
    let budgets = resources::pod_disruption_budgets();
    let budget = json!({"metadata": {"name": "web"}, "spec": {"maxUnavailable": 1,
        "selector": {"matchLabels": {"app": "web"}}}});
    api.create(budgets, "default", budget).await.unwrap();
    api.create(
        resources::deployments(),
        "default",
        crate::hollow::deployment("web", 3, "a:1"),
    )
    .await
    .unwrap();
    cluster
        .wait_for(budgets, "default", "web", |budget| {
            let status = &budget["status"];
            status["disruptionsAllowed"] == 1
                && status["currentHealthy"] == 3
                && status["desiredHealthy"] == 2
        })
        .await;
    let pods = cluster.list(resources::pods(), "default", "").await;
    let mut allowed = 0;
    for pod in &pods {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}});
        let path = format!("{}/eviction", resources::pods().object_path("default", name));
        match api.post(&path, &eviction).await {
            Ok(_) => allowed += 1,
            Err(error) => assert_eq!(error.code(), Some(429), "{error}"),
        }
    }
    assert!(
        (1..3).contains(&allowed),
        "{allowed} of 3 evictions allowed at once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_a_job_lets_go_loses_its_finalizer() {
    let cluster = Cluster::start(1).await;
    let (api, jobs) = (&cluster.api, resources::jobs());
    let job = json!({"metadata": {"name": "j"}, "spec": {"completions": 9, "parallelism": 1,
        "template": template("j", "run", "Never")}});
    api.create(jobs, "default", job).await.unwrap();
    let pods = || cluster.list(resources::pods(), "default", "");
    let first = cluster.wait("a pod", || async { pods().await.pop() }).await;
    let name = first["metadata"]["name"].as_str().unwrap().to_owned();
    let tracked = |pod: &Value| pod["metadata"]["finalizers"] == json!(["batch.kubernetes.io/job-tracking"]);
    assert!(tracked(&first), "{first}");
    // An orphan that matches is adopted, and counted.
    let orphan = json!({"metadata": {"ownerReferences": null}});
    api.patch(resources::pods(), "default", &name, "", Patch::Merge, &orphan)
        .await
        .unwrap();
    cluster
        .wait_for(resources::pods(), "default", &name, |pod| {
            tracked(pod) && pod["metadata"]["ownerReferences"][0]["kind"] == "Job"
        })
        .await;
    // One that matches no more is let go, and nothing keeps it then.
    let other = json!({"metadata": {"labels": {"app": null, "controller-uid": null, "job-name": null,
        "batch.kubernetes.io/controller-uid": null, "batch.kubernetes.io/job-name": null}}});
    api.patch(resources::pods(), "default", &name, "", Patch::Merge, &other)
        .await
        .unwrap();
    cluster
        .wait_for(resources::pods(), "default", &name, |pod| {
            pod["metadata"]["ownerReferences"].is_null() && pod["metadata"]["finalizers"].is_null()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daemon_pods_that_fail_come_back_more_and_more_slowly() {
    let cluster = Cluster::start(1).await;
    let set = json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"app": "d"}},
        "template": template("d", "fail", "Always")}});
    cluster
        .api
        .create(resources::daemon_sets(), "default", set)
        .await
        .unwrap();
    // Made at once, again at once, then after one and after two seconds.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let events = cluster
        .list(
            resources::events(),
            "default",
            "?fieldSelector=reason%3DSuccessfulCreate",
        )
        .await;
    let made: u64 = events
        .iter()
        .map(|event| event["count"].as_u64().unwrap_or(1))
        .sum();
    assert!((2..=4).contains(&made), "{made}: {events:#?}");
}
