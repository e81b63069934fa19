//! Objects as data: create, apply, patch, edit, select, print, watch, delete.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::context::{Context, PATIENCE, Test, contains};

pub const TESTS: &[Test] = &[
    ("apply_diff_edit", apply_diff_edit),
    ("patches", patches),
    ("labels_and_selectors", labels),
    ("configmaps_and_secrets", configmaps_and_secrets),
    ("namespaces", namespaces),
    ("output_formats", output_formats),
    ("field_validation", field_validation),
    ("conflicts", conflicts),
    ("wait_and_watch", wait_and_watch),
    ("dry_run_creates_nothing", dry_run),
    ("malformed_manifests", malformed),
];

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n  labels: {tier: web}\ndata:\n  color: blue\n  size: small\n";

fn apply_diff_edit(c: &Context) -> Result<()> {
    contains(&c.apply(CONFIG)?, &["configmap/settings created"])?;
    contains(&c.apply(CONFIG)?, &["configmap/settings unchanged"])?;
    let changed = CONFIG.replace("blue", "green").replace("  size: small\n", "");
    let diff = c.kubectl.run_with_input(&["diff", "-f", "-"], &changed)?;
    ensure!(
        diff.code == 1,
        "diff exits with 1 when there is a difference: {diff:?}"
    );
    contains(
        &diff.stdout,
        &["-  color: blue", "+  color: green", "-  size: small"],
    )?;
    contains(&c.apply(&changed)?, &["configmap/settings configured"])?;
    let data = c
        .kubectl
        .ok(&["get", "configmap", "settings", "-o", "jsonpath={.data}"])?;
    ensure!(
        data == r#"{"color":"green"}"#,
        "apply removes what the manifest no longer has: {data}"
    );
    let mut edit = c.kubectl.command(&["edit", "configmap", "settings"]);
    let status = edit.env("KUBE_EDITOR", "sed -i s/green/red/").output()?;
    ensure!(
        status.status.success(),
        "{}",
        String::from_utf8_lossy(&status.stderr)
    );
    c.until("configmap/settings", "{.data.color}", "red")?;
    contains(
        &c.kubectl.ok_with_input(&["delete", "-f", "-"], CONFIG)?,
        &["configmap \"settings\" deleted"],
    )?;
    contains(
        &c.kubectl.fails(&["get", "configmap", "settings"])?,
        &["(NotFound): configmaps \"settings\" not found"],
    )
}

fn patches(c: &Context) -> Result<()> {
    c.kubectl.ok(&[
        "create",
        "deployment",
        "web",
        "--image=busybox:1.36",
        "--replicas=0",
        "--",
        "sleep",
        "1",
    ])?;
    let strategic = r#"{"spec":{"template":{"spec":{"containers":[{"name":"busybox","env":[{"name":"A","value":"1"}]}]}}}}"#;
    c.kubectl.ok(&["patch", "deployment", "web", "-p", strategic])?;
    let containers = "{.spec.template.spec.containers[*].image}";
    c.until("deployment/web", containers, "busybox:1.36")?;
    c.until(
        "deployment/web",
        "{.spec.template.spec.containers[0].env[0].value}",
        "1",
    )?;
    c.kubectl.ok(&[
        "patch",
        "deployment",
        "web",
        "--type=merge",
        "-p",
        r#"{"metadata":{"annotations":{"note":"x"}}}"#,
    ])?;
    c.until("deployment/web", "{.metadata.annotations.note}", "x")?;
    let json = r#"[{"op":"replace","path":"/spec/template/spec/containers/0/env/0/value","value":"2"},{"op":"test","path":"/spec/replicas","value":0}]"#;
    c.kubectl
        .ok(&["patch", "deployment", "web", "--type=json", "-p", json])?;
    c.until(
        "deployment/web",
        "{.spec.template.spec.containers[0].env[0].value}",
        "2",
    )?;
    let bad = c.kubectl.fails(&[
        "patch",
        "deployment",
        "web",
        "--type=json",
        "-p",
        r#"[{"op":"test","path":"/spec/replicas","value":9}]"#,
    ])?;
    ensure!(!bad.is_empty(), "a failed test operation fails the patch");
    c.kubectl.ok(&[
        "patch",
        "deployment",
        "web",
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":{"observedGeneration":99}}"#,
    ])?;
    Ok(())
}

fn labels(c: &Context) -> Result<()> {
    for name in ["a", "b", "c"] {
        c.kubectl.ok(&["create", "configmap", name])?;
    }
    contains(
        &c.kubectl.ok(&["label", "configmap", "a", "b", "team=red"])?,
        &["configmap/a labeled", "configmap/b labeled"],
    )?;
    let names = |selector: &str| c.kubectl.ok(&["get", "configmaps", "-l", selector, "-o", "name"]);
    ensure!(names("team=red")? == "configmap/a\nconfigmap/b\n", "equality");
    ensure!(
        names("team in (red,blue)")? == "configmap/a\nconfigmap/b\n",
        "set"
    );
    ensure!(names("!team")?.contains("configmap/c\n"), "absence");
    c.kubectl.ok(&["label", "configmap", "a", "team-"])?;
    ensure!(names("team")? == "configmap/b\n", "removed label");
    contains(
        &c.kubectl.fails(&["label", "configmap", "b", "team=blue"])?,
        &["already has a value (red), and --overwrite is false"],
    )?;
    c.kubectl.ok(&["annotate", "configmap", "b", "why=because"])?;
    c.until("configmap/b", "{.metadata.annotations.why}", "because")?;
    contains(
        &c.kubectl
            .ok(&["get", "configmaps", "--show-labels", "-L", "team"])?,
        &["TEAM", "LABELS", "team=red"],
    )?;
    ensure!(
        c.kubectl.ok(&[
            "get",
            "configmaps",
            "--field-selector=metadata.name=c",
            "-o",
            "name"
        ])? == "configmap/c\n",
        "field"
    );
    contains(
        &c.kubectl.ok(&["delete", "configmaps", "-l", "team"])?,
        &["\"b\" deleted"],
    )
}

fn configmaps_and_secrets(c: &Context) -> Result<()> {
    c.kubectl
        .ok(&["create", "configmap", "settings", "--from-literal=color=blue"])?;
    contains(
        &c.kubectl.ok(&["get", "configmap", "settings"])?,
        &["NAME", "DATA", "AGE", "settings", "1"],
    )?;
    contains(
        &c.kubectl.ok(&["describe", "configmap", "settings"])?,
        &["Name:", "Data\n====", "color:", "blue"],
    )?;
    c.kubectl.ok(&[
        "create",
        "secret",
        "generic",
        "keys",
        "--from-literal=password=hunter2",
    ])?;
    let encoded = c
        .kubectl
        .ok(&["get", "secret", "keys", "-o", "jsonpath={.data.password}"])?;
    ensure!(encoded == "aHVudGVyMg==", "{encoded}");
    contains(&c.kubectl.ok(&["get", "secret", "keys"])?, &["TYPE", "Opaque"])?;
    contains(
        &c.kubectl.ok(&["describe", "secret", "keys"])?,
        &["password:  7 bytes"],
    )?;
    contains(
        &c.kubectl.fails(&["create", "configmap", "settings"])?,
        &["configmaps \"settings\" already exists"],
    )?;
    contains(
        &c.kubectl.fails(&["create", "configmap", "Not_A_Name"])?,
        &["Invalid value", "RFC 1123"],
    )
}

fn namespaces(c: &Context) -> Result<()> {
    c.kubectl.ok(&["create", "namespace", "short-lived"])?;
    let inside = c.kubectl.namespace("short-lived");
    inside.ok(&["create", "configmap", "settings"])?;
    inside.ok(&["wait", "--for=create", "--timeout=30s", "serviceaccount/default"])?;
    inside.ok(&[
        "wait",
        "--for=create",
        "--timeout=30s",
        "configmap/kube-root-ca.crt",
    ])?;
    contains(
        &c.kubectl.ok(&["get", "namespaces"])?,
        &["short-lived", "Active", "kube-system", "default"],
    )?;
    contains(
        &c.kubectl.ok(&["describe", "namespace", "short-lived"])?,
        &["Status:", "Active"],
    )?;
    c.kubectl
        .ok(&["delete", "namespace", "short-lived", "--timeout=60s"])?;
    contains(
        &c.kubectl.fails(&["get", "namespace", "short-lived"])?,
        &["(NotFound)"],
    )?;
    contains(
        &inside.fails(&["create", "configmap", "late"])?,
        &["namespaces \"short-lived\" not found"],
    )
}

fn output_formats(c: &Context) -> Result<()> {
    c.apply(CONFIG)?;
    let get = |format: &str| c.kubectl.ok(&["get", "configmap", "settings", "-o", format]);
    contains(
        &get("yaml")?,
        &[
            "apiVersion: v1",
            "kind: ConfigMap",
            "color: blue",
            "resourceVersion:",
            "uid:",
        ],
    )?;
    contains(
        &get("json")?,
        &["\"apiVersion\": \"v1\"", "\"creationTimestamp\""],
    )?;
    ensure!(get("name")? == "configmap/settings\n", "name");
    ensure!(get("jsonpath={.data.color}")? == "blue", "jsonpath");
    ensure!(get("go-template={{.data.size}}")? == "small", "go-template");
    let columns = get("custom-columns=NAME:.metadata.name,COLOR:.data.color")?;
    ensure!(
        columns.split_whitespace().collect::<Vec<_>>() == ["NAME", "COLOR", "settings", "blue"],
        "{columns}"
    );
    let list = c.kubectl.json(&["get", "configmaps"])?;
    ensure!(
        list["kind"] == "List" && list["items"].as_array().is_some_and(|items| items.len() >= 2),
        "{list}"
    );
    Ok(())
}

fn field_validation(c: &Context) -> Result<()> {
    let typo = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replica: 2\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec: {containers: [{name: c, image: x}]}\n";
    let refused = c.kubectl.run_with_input(&["create", "-f", "-"], typo)?;
    ensure!(
        refused.code != 0 && refused.stderr.contains("unknown field \"spec.replica\""),
        "{refused:?}"
    );
    let warned = c
        .kubectl
        .run_with_input(&["create", "--validate=warn", "-f", "-"], typo)?;
    ensure!(
        warned.code == 0 && warned.stderr.contains("unknown field \"spec.replica\""),
        "{warned:?}"
    );
    let mismatch = typo
        .replace("  replica: 2\n", "")
        .replace("{labels: {a: b}}", "{labels: {a: x}}")
        .replace("name: web", "name: other");
    let refused = c.kubectl.run_with_input(&["create", "-f", "-"], &mismatch)?;
    ensure!(refused.code != 0, "{refused:?}");
    contains(
        &refused.stderr,
        &[
            "The Deployment \"other\" is invalid",
            "spec.template.metadata.labels",
            "`selector` does not match template `labels`",
        ],
    )
}

fn conflicts(c: &Context) -> Result<()> {
    c.apply(CONFIG)?;
    let old = c.kubectl.ok(&["get", "configmap", "settings", "-o", "json"])?;
    c.kubectl
        .ok(&["annotate", "configmap", "settings", "changed=yes"])?;
    let replaced = c
        .kubectl
        .run_with_input(&["replace", "-f", "-"], &old.replace("blue", "black"))?;
    ensure!(replaced.code != 0, "{replaced:?}");
    contains(
        &replaced.stderr,
        &[
            "(Conflict)",
            "the object has been modified; please apply your changes to the latest version and try again",
        ],
    )
}

fn wait_and_watch(c: &Context) -> Result<()> {
    let mut watch = c
        .kubectl
        .start(&["get", "configmaps", "-w", "--output-watch-events"])?;
    c.kubectl.ok(&["create", "configmap", "settings"])?;
    watch.line("settings", PATIENCE)?;
    c.kubectl.ok(&["delete", "configmap", "settings"])?;
    watch.line("DELETED", PATIENCE)?;
    let late = c
        .kubectl
        .run(&["wait", "--for=create", "configmap/never", "--timeout=1s"])?;
    ensure!(late.code != 0, "{late:?}");
    let mut waiting = c.kubectl.start(&[
        "wait",
        "--for=jsonpath={.data.a}=2",
        "configmap/slow",
        "--timeout=30s",
        "--v=0",
    ])?;
    drop(waiting.line("condition met", Duration::from_millis(1)));
    Ok(())
}

fn dry_run(c: &Context) -> Result<()> {
    contains(
        &c.kubectl
            .ok_with_input(&["apply", "--dry-run=server", "-f", "-"], CONFIG)?,
        &["created (server dry run)"],
    )?;
    contains(
        &c.kubectl
            .ok_with_input(&["apply", "--dry-run=client", "-f", "-"], CONFIG)?,
        &["created (dry run)"],
    )?;
    contains(
        &c.kubectl.fails(&["get", "configmap", "settings"])?,
        &["NotFound"],
    )
}

fn malformed(c: &Context) -> Result<()> {
    let cases = [
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n",
            "name or generateName is required",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: []}\n",
            "spec.containers: Required value",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: 7}\n",
            "containers",
        ),
        ("kind: [\n", "error"),
    ];
    for (manifest, message) in cases {
        let output = c.kubectl.run_with_input(&["create", "-f", "-"], manifest)?;
        ensure!(
            output.code != 0 && output.stderr.contains(message),
            "{manifest}: {output:?}"
        );
    }
    let unknown = "apiVersion: v1\nkind: Nothing\nmetadata: {name: x}\n";
    let output = c.kubectl.run_with_input(&["create", "-f", "-"], unknown)?;
    ensure!(
        output.code != 0 && output.stderr.contains("no matches for kind \"Nothing\""),
        "{output:?}"
    );
    Ok(())
}
