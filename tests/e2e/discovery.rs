//! What a client asks first: versions, resources, schemas, rights.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keelson_tests::{Kubectl, find_kubectl};

use crate::context::{Context, Test, contains};

pub const TESTS: &[Test] = &[
    ("api_through_kubectl_proxy", api_through_proxy),
    ("version_and_cluster_info", version),
    ("api_resources", api_resources),
    ("openapi_and_explain", explain),
    ("auth_can_i", can_i),
    ("older_kubectl", older_kubectl),
    ("top_says_that_metrics_are_missing", top),
];

fn api_through_proxy(c: &Context) -> Result<()> {
    let mut proxy = c.kubectl.start(&["proxy", "--port=0"])?;
    let line = proxy.line("Starting to serve on ", Duration::from_secs(10))?;
    let address = line.rsplit(' ').next().unwrap_or_default();
    let body = http_get(address, "/api")?;
    contains(
        &body,
        &["\"kind\"", "APIVersions", "serverAddressByClientCIDRs", "\"v1\""],
    )?;
    let body = http_get(address, "/apis")?;
    contains(&body, &["APIGroupList", "apps", "rbac.authorization.k8s.io"])?;
    ensure!(http_get(address, "/healthz")?.ends_with("ok"), "healthz");
    Ok(())
}

/// A plain HTTP/1.1 GET; returns head and body.
pub fn http_get(address: &str, path: &str) -> Result<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn version(c: &Context) -> Result<()> {
    let text = c.kubectl.ok(&["version"])?;
    contains(&text, &["Client Version: v1.", "Server Version: v1.33"])?;
    let version = c.kubectl.json(&["version"])?;
    ensure!(version["serverVersion"]["major"] == "1", "{version}");
    contains(
        &c.kubectl.ok(&["cluster-info"])?,
        &["control plane", "is running at", c.cluster.listen()],
    )
}

fn api_resources(c: &Context) -> Result<()> {
    let text = c.kubectl.ok(&["api-resources"])?;
    contains(&text, &["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"])?;
    for line in [
        "pods po v1 true Pod",
        "deployments deploy apps/v1 true Deployment",
        "nodes no v1 false Node",
    ] {
        let found = text
            .lines()
            .any(|row| row.split_whitespace().collect::<Vec<_>>().join(" ") == line);
        ensure!(found, "no row {line:?} in:\n{text}");
    }
    contains(
        &c.kubectl.ok(&["api-versions"])?,
        &["v1\n", "apps/v1\n", "discovery.k8s.io/v1\n"],
    )
}

fn explain(c: &Context) -> Result<()> {
    contains(
        &c.kubectl.ok(&["get", "--raw", "/openapi/v3"])?,
        &["\"paths\"", "apis/apps/v1", "serverRelativeURL"],
    )?;
    let text = c.kubectl.ok(&["explain", "deployment.spec"])?;
    contains(
        &text,
        &[
            "GROUP:",
            "apps",
            "KIND:",
            "Deployment",
            "FIELDS:",
            "replicas",
            "<integer>",
            "selector",
            "-required-",
        ],
    )?;
    contains(
        &c.kubectl
            .ok(&["explain", "pod.spec.containers.livenessProbe.httpGet"])?,
        &["port", "path", "scheme"],
    )?;
    contains(
        &c.kubectl.fails(&["explain", "pod.spec.nonsense"])?,
        &["field \"nonsense\" does not exist"],
    )
}

fn can_i(c: &Context) -> Result<()> {
    ensure!(
        c.kubectl.ok(&["auth", "can-i", "create", "deployments"])?.trim() == "yes",
        "the administrator may"
    );
    let account = format!("system:serviceaccount:{}:default", c.kubectl.current_namespace());
    let output = c
        .kubectl
        .run(&["auth", "can-i", "list", "secrets", "--as", &account])?;
    ensure!(output.stdout.trim() == "no" && output.code == 1, "{output:?}");
    let refused = c.kubectl.fails(&["get", "pods", "--as", &account])?;
    contains(
        &refused,
        &[
            "Error from server (Forbidden)",
            "cannot list resource \"pods\" in API group \"\"",
            &account,
        ],
    )?;
    c.kubectl.ok(&[
        "create",
        "rolebinding",
        "viewers",
        "--clusterrole=view",
        &format!("--serviceaccount={}:default", c.kubectl.current_namespace()),
    ])?;
    ensure!(
        c.kubectl
            .ok(&["auth", "can-i", "list", "pods", "--as", &account])?
            .trim()
            == "yes",
        "bound to view"
    );
    contains(
        &c.kubectl.ok(&["auth", "whoami"])?,
        &["kubernetes-admin", "system:masters"],
    )
}

fn older_kubectl(c: &Context) -> Result<()> {
    // 1.29 and older read /openapi/v2 for `apply`, in protobuf.
    for version in ["1.32", "1.31", "1.30", "1.29", "1.28", "1.27"] {
        let Some(binary) = find_kubectl(version) else {
            println!("skipped: kubectl {version} is not beside the kubectl on PATH");
            continue;
        };
        let kubectl = c.kubectl.binary(&binary);
        contains(&kubectl.ok(&["get", "nodes"])?, &["Ready"])?;
        let name = format!("from-{}", version.replace('.', "-"));
        kubectl.ok(&["create", "configmap", &name, "--from-literal=a=b"])?;
        let manifest =
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: c}}\n");
        contains(
            &kubectl.ok_with_input(&["apply", "-f", "-"], &manifest)?,
            &["configured"],
        )?;
        ensure!(
            kubectl.ok(&["get", "configmap", &name, "-o", "jsonpath={.data.a}"])? == "c",
            "kubectl {version}"
        );
        contains(
            &kubectl.ok_with_input(&["apply", "--server-side", "-f", "-"], &manifest)?,
            &["serverside-applied"],
        )?;
        if ["1.32", "1.30", "1.27"].contains(&version) {
            deployment_of_older(&kubectl, &name).with_context(|| format!("kubectl {version}"))?;
        }
    }
    Ok(())
}

/// A Deployment's life with that kubectl.
fn deployment_of_older(kubectl: &Kubectl, name: &str) -> Result<()> {
    let deployment = format!("deployment/{name}");
    kubectl.ok(&["create", "deployment", name, "--image=k8s.gcr.io/echoserver:1.4"])?;
    kubectl.ok(&["rollout", "status", &deployment, "--timeout=60s"])?;
    kubectl.ok(&["scale", &deployment, "--replicas=2"])?;
    kubectl.ok(&[
        "wait",
        "--for=jsonpath={.status.readyReplicas}=2",
        "--timeout=60s",
        &deployment,
    ])?;
    let rows = kubectl.ok(&["get", &deployment, "-o", "wide"])?;
    contains(&rows, &["2/2", "k8s.gcr.io/echoserver:1.4"])?;
    contains(
        &kubectl.ok(&["describe", &deployment])?,
        &["ScalingReplicaSet", "2 available"],
    )?;
    let told = kubectl.ok(&["exec", &deployment, "--", "sh", "-c", "echo in $HOSTNAME"])?;
    contains(&told, &["in from-"])?;
    kubectl.ok(&["set", "env", &deployment, "A=b"])?;
    kubectl.ok(&["rollout", "status", &deployment, "--timeout=60s"])?;
    contains(&kubectl.ok(&["rollout", "history", &deployment])?, &["2"])?;
    kubectl.ok(&["logs", &deployment])?;
    contains(&kubectl.ok(&["explain", "deployment.spec"])?, &["replicas"])?;
    let patch = r#"{"spec":{"template":{"spec":{"containers":[{"name":"echoserver","env":[{"name":"A","value":"c"}]}]}}}}"#;
    contains(&kubectl.ok(&["patch", &deployment, "-p", patch])?, &["patched"])?;
    kubectl.ok(&["delete", &deployment]).map(drop)
}

fn top(c: &Context) -> Result<()> {
    let output = c.kubectl.run(&["top", "nodes"])?;
    ensure!(
        output.code == 0 || output.stderr.contains("Metrics API not available"),
        "{output:?}"
    );
    Ok(())
}
