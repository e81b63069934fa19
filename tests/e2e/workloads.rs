//! Deployments and their pods, as the tour of the issue goes.

use anyhow::{Result, ensure};
use keelson_tests::eventually;

use crate::context::{Context, PATIENCE, Test, contains};

pub const TESTS: &[Test] = &[
    ("deployment_life", deployment_life),
    ("rollout_and_undo", rollout),
    ("a_deleted_pod_is_replaced", replaced),
    ("garbage_collection", garbage_collection),
    ("replicaset_alone", replicaset),
];

const ECHO: &str = "--image=k8s.gcr.io/echoserver:1.4";

fn deployment_life(c: &Context) -> Result<()> {
    contains(
        &c.kubectl.ok(&["create", "deployment", "hello-world", ECHO])?,
        &["deployment.apps/hello-world created"],
    )?;
    contains(
        &c.kubectl
            .ok(&["rollout", "status", "deployment/hello-world", "--timeout=60s"])?,
        &["successfully rolled out"],
    )?;
    let table = c.kubectl.ok(&["get", "deployments", "-o", "wide"])?;
    contains(
        &table,
        &[
            "READY",
            "UP-TO-DATE",
            "AVAILABLE",
            "CONTAINERS",
            "IMAGES",
            "SELECTOR",
            "1/1",
            "app=hello-world",
        ],
    )?;
    let table = c.kubectl.ok(&["get", "rs,pods", "-o", "wide", "--show-labels"])?;
    contains(
        &table,
        &[
            "replicaset.apps/hello-world-",
            "pod/hello-world-",
            "pod-template-hash=",
            "Running",
            "NOMINATED NODE",
        ],
    )?;
    c.kubectl
        .ok(&["scale", "deployment", "hello-world", "--replicas=3"])?;
    c.until("deployment/hello-world", "{.status.readyReplicas}", "3")?;
    c.kubectl
        .ok(&["scale", "deployment", "hello-world", "--replicas=1"])?;
    eventually(PATIENCE, || {
        let pods = c.kubectl.ok(&["get", "pods", "-o", "name"])?;
        ensure!(pods.lines().count() == 1, "{pods}");
        Ok(())
    })?;
    let text = c.kubectl.ok(&["describe", "deployment", "hello-world"])?;
    contains(
        &text,
        &[
            "StrategyType:",
            "RollingUpdate",
            "Available",
            "NewReplicaSetAvailable",
            "ScalingReplicaSet",
            "Scaled up replica set",
        ],
    )?;
    let pod = c.kubectl.ok(&["get", "pods", "-o", "name"])?;
    let text = c.kubectl.ok(&["describe", pod.trim()])?;
    contains(
        &text,
        &[
            "Node:",
            "Controlled By:  ReplicaSet/",
            "Scheduled",
            "Pulled",
            "Created",
            "Started",
            "QoS Class:",
            "BestEffort",
        ],
    )?;
    contains(
        &c.kubectl.ok(&["get", "events"])?,
        &["SuccessfulCreate", "Started"],
    )?;
    c.kubectl.ok(&["delete", "deployment", "hello-world"])?;
    eventually(PATIENCE, || {
        let left = c.kubectl.ok(&["get", "rs,pods", "-o", "name"])?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })
}

fn rollout(c: &Context) -> Result<()> {
    c.kubectl.ok(&[
        "create",
        "deployment",
        "web",
        "--image=busybox:1.36",
        "--replicas=2",
        "--",
        "sleep",
        "3600",
    ])?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    c.kubectl.ok(&[
        "set",
        "image",
        "deployment/web",
        "busybox=docker.io/library/busybox:1.36",
    ])?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=90s"])?;
    let history = c.kubectl.ok(&["rollout", "history", "deployment/web"])?;
    contains(&history, &["REVISION", "1", "2"])?;
    contains(
        &c.kubectl
            .ok(&["rollout", "history", "deployment/web", "--revision=1"])?,
        &["busybox:1.36"],
    )?;
    c.kubectl.ok(&["rollout", "undo", "deployment/web"])?;
    c.until(
        "deployment/web",
        "{.spec.template.spec.containers[0].image}",
        "busybox:1.36",
    )?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=90s"])?;
    c.kubectl.ok(&["rollout", "restart", "deployment/web"])?;
    c.kubectl.ok(&["rollout", "pause", "deployment/web"])?;
    c.kubectl.ok(&["rollout", "resume", "deployment/web"])?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=90s"])?;
    c.kubectl.ok(&["set", "env", "deployment/web", "A=b"])?;
    c.until(
        "deployment/web",
        "{.spec.template.spec.containers[0].env[0].value}",
        "b",
    )
}

fn replaced(c: &Context) -> Result<()> {
    c.kubectl.ok(&["create", "deployment", "web", ECHO])?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    let first = c.kubectl.ok(&["get", "pods", "-o", "name"])?;
    c.kubectl.ok(&["delete", first.trim()])?;
    eventually(PATIENCE, || {
        let now = c.kubectl.ok(&[
            "get",
            "pods",
            "-o",
            "jsonpath={range .items[*]}pod/{.metadata.name} {.status.phase}{\"\\n\"}{end}",
        ])?;
        ensure!(!now.contains(first.trim()) && now.contains("Running"), "{now}");
        Ok(())
    })
}

fn garbage_collection(c: &Context) -> Result<()> {
    c.kubectl.ok(&["create", "deployment", "web", ECHO])?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    c.kubectl
        .ok(&["delete", "deployment", "web", "--cascade=orphan"])?;
    let replicasets = c.kubectl.ok(&["get", "rs", "-o", "name"])?;
    ensure!(replicasets.lines().count() == 1, "orphaned: {replicasets}");
    c.until(replicasets.trim(), "{.metadata.ownerReferences}", "")?;
    c.kubectl.ok(&[
        "delete",
        replicasets.trim(),
        "--cascade=foreground",
        "--timeout=60s",
    ])?;
    let pods = c.kubectl.ok(&["get", "pods", "-o", "name"])?;
    ensure!(pods.is_empty(), "foreground deletion waits for the pods: {pods}");
    Ok(())
}

fn replicaset(c: &Context) -> Result<()> {
    c.apply(
        "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: three}\nspec:\n  replicas: 3\n  selector: {matchLabels: {a: b}}\n  \
         template:\n    metadata: {labels: {a: b}}\n    spec: {containers: [{name: c, image: 'busybox:1.36', command: [sleep, '3600']}], terminationGracePeriodSeconds: 1}\n",
    )?;
    c.until("rs/three", "{.status.readyReplicas}", "3")?;
    let pods = c.kubectl.ok(&["get", "pods", "-l", "a=b", "-o", "name"])?;
    let first = pods.lines().next().unwrap_or_default().to_owned();
    c.kubectl.ok(&["label", &first, "a=released", "--overwrite"])?;
    c.until("rs/three", "{.status.readyReplicas}", "3")?;
    eventually(PATIENCE, || {
        let owner = c
            .kubectl
            .ok(&["get", &first, "-o", "jsonpath={.metadata.ownerReferences}"])?;
        ensure!(owner.is_empty(), "released: {owner}");
        Ok(())
    })
}
