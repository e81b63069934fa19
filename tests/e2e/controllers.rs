//! Workloads other than Deployments: Jobs, CronJobs, DaemonSets, StatefulSets; and what controllers give namespaces.

use anyhow::{Result, ensure};
use keelson_tests::eventually;

use crate::context::{Context, PATIENCE, Test, contains};

pub const TESTS: &[Test] = &[
    ("jobs", jobs),
    ("cronjobs", cronjobs),
    ("daemonsets", daemonsets),
    ("statefulsets", statefulsets),
    ("paused_and_recreated", paused_and_recreated),
    ("a_stuck_rollout_says_so", stuck),
    ("what_every_namespace_has", furnished),
];

fn jobs(c: &Context) -> Result<()> {
    c.kubectl.ok(&[
        "create",
        "job",
        "hello",
        "--image=busybox:1.36",
        "--",
        "echo",
        "hello from a job",
    ])?;
    c.kubectl
        .ok(&["wait", "--for=condition=Complete", "--timeout=60s", "job/hello"])?;
    contains(&c.kubectl.ok(&["logs", "job/hello"])?, &["hello from a job"])?;
    contains(
        &c.kubectl.ok(&["get", "jobs"])?,
        &["STATUS", "COMPLETIONS", "Complete", "1/1"],
    )?;
    contains(
        &c.kubectl.ok(&["describe", "job", "hello"])?,
        &["SuccessfulCreate", "Completed", "Job completed"],
    )?;
    c.apply(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: indexed}\nspec:\n  completions: 3\n  parallelism: 3\n  \
         completionMode: Indexed\n  template:\n    spec:\n      restartPolicy: Never\n      containers:\n      \
         - {name: c, image: 'busybox:1.36', command: [sh, -c, 'echo index $JOB_COMPLETION_INDEX of $(hostname)']}\n",
    )?;
    c.kubectl
        .ok(&["wait", "--for=condition=Complete", "--timeout=60s", "job/indexed"])?;
    c.until("job/indexed", "{.status.completedIndexes}", "0-2")?;
    let logs = c
        .kubectl
        .ok(&["logs", "-l", "job-name=indexed", "--prefix=false"])?;
    contains(
        &logs,
        &[
            "index 0 of indexed-0",
            "index 1 of indexed-1",
            "index 2 of indexed-2",
        ],
    )?;
    c.apply(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: bad}\nspec:\n  backoffLimit: 0\n  template:\n    spec:\n      \
         restartPolicy: Never\n      containers: [{name: c, image: 'busybox:1.36', command: ['false']}]\n",
    )?;
    c.kubectl
        .ok(&["wait", "--for=condition=Failed", "--timeout=60s", "job/bad"])?;
    c.until(
        "job/bad",
        "{.status.conditions[?(@.type=='Failed')].reason}",
        "BackoffLimitExceeded",
    )?;
    c.kubectl.ok(&["delete", "job", "--all", "--timeout=60s"])?;
    eventually(PATIENCE, || {
        let pods = c.kubectl.ok(&["get", "pods", "-o", "name"])?;
        ensure!(pods.is_empty(), "{pods}");
        Ok(())
    })
}

fn cronjobs(c: &Context) -> Result<()> {
    c.kubectl.ok(&[
        "create",
        "cronjob",
        "tick",
        "--image=busybox:1.36",
        "--schedule=@every 2s",
        "--",
        "echo",
        "tick",
    ])?;
    eventually(PATIENCE, || {
        let jobs = c
            .kubectl
            .ok(&["get", "jobs", "-o", "jsonpath={.items[*].status.succeeded}"])?;
        ensure!(jobs.contains('1'), "{jobs:?}");
        Ok(())
    })?;
    contains(
        &c.kubectl.ok(&["get", "cronjobs"])?,
        &["SCHEDULE", "LAST SCHEDULE", "@every 2s", "False"],
    )?;
    c.kubectl
        .ok(&["patch", "cronjob", "tick", "-p", r#"{"spec":{"suspend":true}}"#])?;
    c.kubectl
        .ok(&["create", "job", "by-hand", "--from=cronjob/tick"])?;
    c.kubectl
        .ok(&["wait", "--for=condition=Complete", "--timeout=60s", "job/by-hand"])
        .map(drop)
}

fn daemonsets(c: &Context) -> Result<()> {
    c.apply(
        "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec:\n  selector: {matchLabels: {app: agent}}\n  \
         template:\n    metadata: {labels: {app: agent}}\n    spec:\n      terminationGracePeriodSeconds: 1\n      \
         containers: [{name: c, image: 'busybox:1.36', command: [sleep, '3600']}]\n",
    )?;
    c.kubectl
        .ok(&["rollout", "status", "daemonset/agent", "--timeout=60s"])?;
    contains(
        &c.kubectl.ok(&["get", "ds"])?,
        &["DESIRED", "UP-TO-DATE", "NODE SELECTOR"],
    )?;
    c.kubectl.ok(&["set", "env", "daemonset/agent", "VERSION=two"])?;
    c.kubectl
        .ok(&["rollout", "status", "daemonset/agent", "--timeout=60s"])?;
    contains(
        &c.kubectl.ok(&["rollout", "history", "daemonset/agent"])?,
        &["REVISION", "1", "2"],
    )?;
    let env = "{.spec.template.spec.containers[0].env}";
    ensure!(
        c.kubectl
            .ok(&["get", "ds/agent", "-o", &format!("jsonpath={env}")])?
            .contains("two")
    );
    c.kubectl.ok(&["rollout", "undo", "daemonset/agent"])?;
    c.until("ds/agent", env, "")?;
    c.kubectl
        .ok(&["rollout", "status", "daemonset/agent", "--timeout=60s"])
        .map(drop)
}

fn statefulsets(c: &Context) -> Result<()> {
    c.apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {clusterIP: None, selector: {app: db}}\n---\n\
         apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  replicas: 2\n  serviceName: db\n  \
         selector: {matchLabels: {app: db}}\n  template:\n    metadata: {labels: {app: db}}\n    spec:\n      \
         terminationGracePeriodSeconds: 1\n      \
         containers: [{name: c, image: 'busybox:1.36', command: [sleep, '3600']}]\n",
    )?;
    c.kubectl
        .ok(&["rollout", "status", "statefulset/db", "--timeout=60s"])?;
    let pods = c.kubectl.ok(&["get", "pods", "-o", "name"])?;
    ensure!(pods == "pod/db-0\npod/db-1\n", "{pods}");
    eventually(PATIENCE, || {
        let address = c
            .kubectl
            .ok(&["get", "pod", "db-1", "-o", "jsonpath={.status.podIP}"])?;
        contains(
            &c.kubectl.ok(&[
                "exec",
                "db-0",
                "--",
                "nslookup",
                &format!("db-1.db.{}.svc.cluster.local", c.kubectl.current_namespace()),
            ])?,
            &[&address],
        )
    })?;
    ensure!(c.kubectl.ok(&["exec", "db-1", "--", "hostname"])?.trim() == "db-1");
    let uid = c
        .kubectl
        .ok(&["get", "pod", "db-0", "-o", "jsonpath={.metadata.uid}"])?;
    c.kubectl.ok(&["delete", "pod", "db-0"])?;
    eventually(PATIENCE, || {
        let now = c
            .kubectl
            .ok(&["get", "pod", "db-0", "-o", "jsonpath={.metadata.uid}"])?;
        ensure!(now != uid && !now.is_empty(), "db-0 comes back under its name");
        Ok(())
    })?;
    c.kubectl.ok(&["set", "env", "statefulset/db", "VERSION=two"])?;
    c.kubectl
        .ok(&["rollout", "status", "statefulset/db", "--timeout=90s"])?;
    c.kubectl.ok(&["scale", "statefulset", "db", "--replicas=1"])?;
    eventually(PATIENCE, || {
        let pods = c.kubectl.ok(&["get", "pods", "-o", "name"])?;
        ensure!(pods == "pod/db-0\n", "the highest ordinal goes first: {pods}");
        Ok(())
    })
}

fn paused_and_recreated(c: &Context) -> Result<()> {
    c.apply(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  strategy: {type: Recreate}\n  \
         selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      \
         terminationGracePeriodSeconds: 1\n      \
         containers: [{name: c, image: 'busybox:1.36', command: [sleep, '3600']}]\n",
    )?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    c.kubectl.ok(&["rollout", "pause", "deployment/web"])?;
    c.kubectl.ok(&["set", "env", "deployment/web", "VERSION=two"])?;
    c.until(
        "deployment/web",
        "{.status.conditions[?(@.type=='Progressing')].reason}",
        "DeploymentPaused",
    )?;
    let sets = c.kubectl.ok(&["get", "rs", "-o", "name"])?;
    ensure!(
        sets.lines().count() == 1,
        "nothing rolls out while paused: {sets}"
    );
    c.kubectl.ok(&["rollout", "resume", "deployment/web"])?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    let events = c
        .kubectl
        .ok(&["get", "events", "--field-selector=reason=ScalingReplicaSet"])?;
    contains(&events, &["Scaled down replica set", "from 1 to 0"])?;
    c.until("deployment/web", "{.status.replicas}", "1")
}

fn stuck(c: &Context) -> Result<()> {
    c.apply(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  progressDeadlineSeconds: 2\n  \
         selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      \
         containers: [{name: c, image: 'no/such/image:1', imagePullPolicy: Never}]\n",
    )?;
    let failed = c
        .kubectl
        .fails(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    contains(&failed, &["exceeded its progress deadline"])?;
    c.until(
        "deployment/web",
        "{.status.conditions[?(@.type=='Available')].reason}",
        "MinimumReplicasUnavailable",
    )
}

fn furnished(c: &Context) -> Result<()> {
    contains(
        &c.kubectl.ok(&["get", "serviceaccounts", "-o", "name"])?,
        &["serviceaccount/default"],
    )?;
    let authority = c.kubectl.ok(&[
        "get",
        "configmap",
        "kube-root-ca.crt",
        "-o",
        r"jsonpath={.data.ca\.crt}",
    ])?;
    contains(&authority, &["BEGIN CERTIFICATE"])?;
    c.kubectl.ok(&["delete", "serviceaccount", "default"])?;
    c.kubectl.ok(&["delete", "configmap", "kube-root-ca.crt"])?;
    c.until("serviceaccount/default", "{.metadata.name}", "default")?;
    c.until(
        "configmap/kube-root-ca.crt",
        "{.metadata.name}",
        "kube-root-ca.crt",
    )
}
