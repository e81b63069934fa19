//! The node: what it says of itself, and taking it out of service. Alone, because a drained node runs nothing else.

use anyhow::{Result, ensure};
use keelson_tests::eventually;

use crate::context::{Context, PATIENCE, Test, contains};

pub const TESTS: &[Test] = &[
    ("node_tables", tables),
    ("cordon_taint_drain", out_of_service),
    ("budgets_hold_evictions_up", budgets),
];

fn name(c: &Context) -> Result<String> {
    c.kubectl
        .ok(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"])
}

fn tables(c: &Context) -> Result<()> {
    let table = c.kubectl.ok(&["get", "nodes", "-o", "wide"])?;
    contains(
        &table,
        &[
            "NAME",
            "STATUS",
            "ROLES",
            "AGE",
            "VERSION",
            "INTERNAL-IP",
            "OS-IMAGE",
            "KERNEL-VERSION",
            "CONTAINER-RUNTIME",
            " Ready ",
            "v1.33",
            "keelson://",
        ],
    )?;
    let text = c.kubectl.ok(&["describe", "node", &name(c)?])?;
    contains(
        &text,
        &[
            "Conditions:",
            "MemoryPressure",
            "DiskPressure",
            "PIDPressure",
            "KubeletReady",
            "Capacity:",
            "Allocatable:",
            "System Info:",
            "Kernel Version:",
            "Non-terminated Pods:",
            "Allocated resources:",
            "Events:",
        ],
    )?;
    let lease = c.kubectl.namespace("kube-node-lease").ok(&[
        "get",
        "lease",
        &name(c)?,
        "-o",
        "jsonpath={.spec.holderIdentity}",
    ])?;
    ensure!(lease == name(c)?, "{lease}");
    Ok(())
}

fn out_of_service(c: &Context) -> Result<()> {
    let node = name(c)?;
    c.kubectl
        .ok(&["create", "deployment", "web", "--image=k8s.gcr.io/echoserver:1.4"])?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    contains(&c.kubectl.ok(&["cordon", &node])?, &["cordoned"])?;
    contains(&c.kubectl.ok(&["get", "nodes"])?, &["Ready,SchedulingDisabled"])?;
    let drained = c.kubectl.ok(&[
        "drain",
        &node,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--force",
        "--timeout=90s",
    ])?;
    contains(&drained, &["evicting pod", "drained"])?;
    eventually(PATIENCE, || {
        let pending = c
            .kubectl
            .ok(&["get", "pods", "-o", "jsonpath={.items[*].status.phase}"])?;
        ensure!(pending == "Pending", "{pending}");
        contains(
            &c.kubectl.ok(&["get", "events"])?,
            &[
                "FailedScheduling",
                "0/1 nodes are available: 1 node(s) were unschedulable",
            ],
        )
    })?;
    c.kubectl.ok(&["uncordon", &node])?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    c.kubectl
        .ok(&["taint", "nodes", &node, "dedicated=test:NoSchedule"])?;
    c.kubectl.ok(&[
        "run",
        "untolerated",
        "--image=busybox:1.36",
        "--restart=Never",
        "--",
        "sleep",
        "1",
    ])?;
    eventually(PATIENCE, || {
        contains(&c.kubectl.ok(&["get", "events"])?, &["had untolerated taint"])
    })?;
    c.kubectl.ok(&["taint", "nodes", &node, "dedicated-"])?;
    c.until("pod/untolerated", "{.status.phase}", "Succeeded")
}

fn budgets(c: &Context) -> Result<()> {
    let node = name(c)?;
    c.kubectl.ok(&[
        "create",
        "deployment",
        "web",
        "--image=k8s.gcr.io/echoserver:1.4",
        "--replicas=2",
    ])?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    c.kubectl.ok(&[
        "create",
        "poddisruptionbudget",
        "web",
        "--selector=app=web",
        "--min-available=2",
    ])?;
    c.until(
        "pdb/web",
        "{.status.currentHealthy}/{.status.expectedPods}/{.status.disruptionsAllowed}",
        "2/2/0",
    )?;
    let refused = c
        .kubectl
        .fails(&["drain", &node, "--ignore-daemonsets", "--force", "--timeout=3s"])?;
    contains(
        &refused,
        &["Cannot evict pod as it would violate the pod's disruption budget."],
    )?;
    let running = c
        .kubectl
        .ok(&["get", "pods", "-o", "jsonpath={.items[*].status.phase}"])?;
    ensure!(running == "Running Running", "{running}");
    let enough = r#"{"spec":{"minAvailable":0}}"#;
    c.kubectl.ok(&[
        "patch",
        "poddisruptionbudget",
        "web",
        "--type=merge",
        "-p",
        enough,
    ])?;
    c.kubectl
        .ok(&["drain", &node, "--ignore-daemonsets", "--force", "--timeout=60s"])?;
    c.kubectl.ok(&["uncordon", &node])?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=60s"])
        .map(drop)
}
