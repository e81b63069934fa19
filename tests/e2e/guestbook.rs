//! The Guestbook of the conformance suite, of our own images: a front end that writes to one backend and reads from another.

use anyhow::{Result, ensure};
use keelson_tests::eventually;

use crate::context::{Context, PATIENCE, Test, contains};
use crate::discovery::http_get;

pub const TESTS: &[Test] = &[("guestbook", guestbook)];

/// What the web servers run. The primary keeps what is written, replicas read it from there, and the front end knows who
/// writes and who reads.
const PROGRAMS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: programs}
data:
  keep: |
    #!/bin/sh
    echo "$QUERY_STRING" >> /tmp/entries
    printf 'Content-Type: text/plain\r\n\r\nkept\n'
  entries: |
    #!/bin/sh
    printf 'Content-Type: text/plain\r\n\r\n'
    cat /tmp/entries 2>/dev/null
    echo end
  read: |
    #!/bin/sh
    printf 'Content-Type: text/plain\r\n\r\n'
    wget -q -O - http://primary:6379/cgi-bin/entries
  set: |
    #!/bin/sh
    printf 'Content-Type: text/plain\r\n\r\n'
    wget -q -O - "http://primary:6379/cgi-bin/keep?$QUERY_STRING"
  get: |
    #!/bin/sh
    printf 'Content-Type: text/plain\r\n\r\n'
    wget -q -O - http://replica:6379/cgi-bin/read
"#;

/// A Deployment of web servers that run the programs, and its Service.
fn tier(name: &str, replicas: u32, port: u16) -> String {
    format!(
        "---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, labels: {{app: guestbook}}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: guestbook, tier: {name}}}}}
  template:
    metadata: {{labels: {{app: guestbook, tier: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      volumes: [{{name: programs, configMap: {{name: programs, defaultMode: 0755}}}}]
      containers:
      - name: c
        image: busybox:1.36
        command: [httpd, -f, -p, '{port}', -h, /www]
        ports: [{{containerPort: {port}}}]
        readinessProbe: {{tcpSocket: {{port: {port}}}, periodSeconds: 1}}
        volumeMounts: [{{name: programs, mountPath: /www/cgi-bin}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, labels: {{app: guestbook}}}}
spec: {{selector: {{app: guestbook, tier: {name}}}, ports: [{{port: {port}}}]}}
"
    )
}

fn guestbook(c: &Context) -> Result<()> {
    let manifest = [
        PROGRAMS.to_owned(),
        tier("primary", 1, 6379),
        tier("replica", 2, 6379),
        tier("frontend", 2, 80),
    ]
    .concat();
    c.kubectl.ok_with_input(&["create", "-f", "-"], &manifest)?;
    for name in ["primary", "replica", "frontend"] {
        let deployment = format!("deployment/{name}");
        c.kubectl
            .ok(&["rollout", "status", &deployment, "--timeout=60s"])?;
    }
    let ip = c
        .kubectl
        .ok(&["get", "service", "frontend", "-o", "jsonpath={.spec.clusterIP}"])?;
    let ask = |path: &str| http_get(&format!("{ip}:80"), path);
    // The front end answers, and nothing is written yet.
    eventually(PATIENCE, || {
        let text = ask("/cgi-bin/get")?;
        contains(&text, &["200 OK", "end\n"])?;
        ensure!(!text.contains("TestEntry"), "{text}");
        Ok(())
    })?;
    contains(&ask("/cgi-bin/set?TestEntry")?, &["kept"])?;
    eventually(PATIENCE, || contains(&ask("/cgi-bin/get")?, &["TestEntry\n"]))?;
    c.kubectl
        .ok_with_input(&["delete", "--timeout=60s", "-f", "-"], &manifest)?;
    eventually(PATIENCE, || {
        let left = c
            .kubectl
            .ok(&["get", "pods,services", "-l", "app=guestbook", "-o", "name"])?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })
}
