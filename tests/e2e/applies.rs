//! Server-side apply, with controllers as the other managers.

use anyhow::{Result, ensure};

use crate::context::{Context, Test, contains};

pub const TESTS: &[Test] = &[
    ("server_side_apply", server_side_apply),
    ("from_client_side_to_server_side", migration),
];

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: busybox:1.36
        command: [sleep, '1000']
        env: [{name: COLOR, value: blue}]
";

fn apply(c: &Context, options: &[&str], manifest: &str) -> Result<String> {
    let args = [&["apply", "--server-side", "-f", "-"], options].concat();
    c.kubectl.ok_with_input(&args, manifest)
}

fn server_side_apply(c: &Context) -> Result<()> {
    contains(
        &apply(c, &[], DEPLOYMENT)?,
        &["deployment.apps/web serverside-applied"],
    )?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    let version = || {
        c.kubectl.ok(&[
            "get",
            "deployment",
            "web",
            "-o",
            "jsonpath={.metadata.resourceVersion}",
        ])
    };
    let before = version()?;
    apply(c, &[], DEPLOYMENT)?;
    ensure!(
        version()? == before,
        "an apply that changes nothing writes nothing"
    );
    // Another manager scales: the first one's number is then in its way.
    c.kubectl.ok(&["scale", "deployment/web", "--replicas=2"])?;
    let args = ["apply", "--server-side", "-f", "-"];
    let conflict = c.kubectl.run_with_input(&args, DEPLOYMENT)?;
    ensure!(conflict.code != 0, "{conflict:?}");
    contains(
        &conflict.stderr,
        &[
            "conflict with \"kubectl", // as the program is called
            "with subresource \"scale\"",
            ".spec.replicas",
        ],
    )?;
    apply(c, &["--force-conflicts"], DEPLOYMENT)?;
    c.until("deployment/web", "{.spec.replicas}", "1")?;
    // What is no longer named goes, what another manager owns stays.
    c.kubectl.ok(&["label", "deployment", "web", "owner=somebody"])?;
    let without = DEPLOYMENT.replace("        env: [{name: COLOR, value: blue}]\n", "");
    apply(c, &[], &without)?;
    let left = "{.spec.template.spec.containers[0].env}|{.metadata.labels.owner}";
    let left = c
        .kubectl
        .ok(&["get", "deployment", "web", "-o", &format!("jsonpath={left}")])?;
    ensure!(left == "|somebody", "{left}");
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    let managers = c.kubectl.ok(&[
        "get",
        "deployment",
        "web",
        "--show-managed-fields",
        "-o",
        "jsonpath={range .metadata.managedFields[*]}{.manager}/{.operation}/{.subresource} {end}",
    ])?;
    contains(
        &managers,
        &["kubectl/Apply/", "kube-controller-manager/Update/status"],
    )?;
    let pod = c.kubectl.ok(&[
        "get",
        "pods",
        "-l",
        "app=web",
        "--show-managed-fields",
        "-o",
        "jsonpath={range .items[*].metadata.managedFields[*]}{.manager}/{.subresource} {end}",
    ])?;
    contains(&pod, &["kubelet/status"])
}

/// `apply` first, then `apply --server-side`: kubectl hands its own fields over, and can take some away afterwards.
fn migration(c: &Context) -> Result<()> {
    contains(&c.apply(DEPLOYMENT)?, &["deployment.apps/web created"])?;
    apply(c, &[], DEPLOYMENT)?;
    let without = DEPLOYMENT.replace("        env: [{name: COLOR, value: blue}]\n", "");
    apply(c, &[], &without)?;
    let env = c.kubectl.ok(&[
        "get",
        "deployment",
        "web",
        "-o",
        "jsonpath={.spec.template.spec.containers[0].env}",
    ])?;
    ensure!(env.is_empty(), "{env}");
    let diff = c
        .kubectl
        .run_with_input(&["diff", "--server-side", "-f", "-"], &without)?;
    ensure!(diff.code == 0, "nothing is left to change: {diff:?}");
    Ok(())
}
