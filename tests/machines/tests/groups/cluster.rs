//! `keelson up` in a machine of its own, with the controllers that limits need.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use keelson_machines::{Disk, Kernel, Lab, Machine, Setup};

use crate::{ALL, Test};

pub const TESTS: &[Test] = &[("cluster::limits", ALL, limits)];

/// Starting all daemons, or a pod; both take two seconds on the host.
const LONG: Duration = Duration::from_mins(2);

/// Talks to the API server with the administrator's certificate: `api METHOD PATH [BODY]`. Answers to curl by name are indented.
const API: &str = r#"
api() {
    for field in certificate-authority client-certificate client-key; do
        [ -e "/run/$field" ] || sed -n "s/^ *-* *$field-data: //p" "$DATA/admin.kubeconfig" | tr -d '"' | base64 -d >"/run/$field"
    done
    curl -sS --cacert /run/certificate-authority --cert /run/client-certificate --key /run/client-key \
        -A keelson-tests -H "Content-Type: application/json" -X "$1" ${3:+--data "$3"} "https://127.0.0.1:6443$2"
}
"#;

/// The release build and the test image.
fn programs() -> Result<(PathBuf, PathBuf)> {
    let repository = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.join("target"), PathBuf::from);
    let binary =
        std::env::var_os("KEELSON_BIN").map_or_else(|| target.join("release/keelson"), PathBuf::from);
    let image = repository.join("rootfs/out/busybox.tar");
    for (path, how) in [(&binary, "build"), (&image, "images")] {
        ensure!(
            path.exists(),
            "{} is missing; make it with: make {how}",
            path.display()
        );
    }
    Ok((binary, image))
}

/// A machine with `keelson` and an image archive in it.
pub fn setup(kernel: Kernel) -> Result<Setup> {
    let (binary, image) = programs()?;
    Ok(Setup::new(kernel)
        .memory(1536)
        .file(binary, "/usr/local/bin/keelson")
        .file(image, "/opt/busybox.tar"))
}

/// A cluster in a machine.
pub struct Cluster {
    pub machine: Machine,
    data: &'static str,
}

impl Cluster {
    /// Boots and starts everything, with that data directory.
    pub fn start(lab: &Lab, setup: &Setup, data: &'static str) -> Result<Self> {
        let machine = setup.boot(lab)?;
        let mut cluster = Self { machine, data };
        cluster.script(&format!(
            "keelson image import /opt/busybox.tar --tag busybox:1.36 --data-dir {data} && timeout 90 keelson up --detach --data-dir {data}"
        ))?;
        Ok(cluster)
    }

    /// The beginning of a script that calls `api`.
    pub fn prelude(&self) -> String {
        format!("DATA={}{API}", self.data)
    }

    /// Runs a script that must succeed; it may call `api`.
    pub fn script(&mut self, script: &str) -> Result<String> {
        let run = self.machine.run(&format!("{}{script}", self.prelude()), LONG)?;
        if run.code != 0 {
            let show = format!(
                "tail -n 30 {0}/logs/*.log; keelson status --data-dir {0} 2>&1",
                self.data
            );
            let shown = self.machine.run(&show, LONG)?;
            bail!(
                "{script}: exit code {}\n{}\n{}",
                run.code,
                run.output,
                shown.output
            );
        }
        Ok(run.output)
    }

    /// Creates a pod of one container and waits until its status contains `text`; returns the status.
    fn pod(&mut self, name: &str, command: &str, resources: &str, text: &str) -> Result<String> {
        let body = format!(
            r#"{{"metadata":{{"name":"{name}"}},"spec":{{"restartPolicy":"Never","terminationGracePeriodSeconds":0,
            "containers":[{{"name":"main","image":"busybox:1.36","imagePullPolicy":"Never","command":["sh","-c","{command}"],
            "resources":{resources}}}]}}}}"#
        );
        self.script(&format!(
            "api POST /api/v1/namespaces/default/pods '{body}' >/tmp/answer; grep -q '\"kind\":\"Pod\"' /tmp/answer || {{ cat /tmp/answer; exit 1; }}
            until api GET /api/v1/namespaces/default/pods/{name} >/tmp/pod && grep -q '{text}' /tmp/pod; do
                n=$((${{n:-0}} + 1)); [ $n -lt 200 ] || {{ cat /tmp/pod; exit 1; }}
                sleep 0.3
            done
            cat /tmp/pod"
        ))
    }
}

fn limits(lab: &Lab, kernel: Kernel) -> Result<()> {
    // The machine's own /var/lib is memory; a node's is a disk.
    let disk = Disk::new(512)?;
    let mut cluster = Cluster::start(lab, &setup(kernel)?.disk(&disk), "/disk0/keelson")?;
    let warnings = cluster.script("grep -h -i limits /disk0/keelson/logs/*.log; true")?;
    ensure!(warnings.is_empty(), "{warnings}");
    let nodes = cluster.script("api GET /api/v1/nodes")?;
    ensure!(!nodes.contains("limits cannot be enforced"), "{nodes}");

    let pod = cluster.pod(
        "limited",
        "sleep 1000",
        r#"{"limits":{"memory":"64Mi","cpu":"200m"}}"#,
        r#""phase":"Running""#,
    )?;
    let uid = pod
        .split(r#""uid":""#)
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .context(pod.clone())?
        .to_owned();
    // Guaranteed: limits without requests. The one directory below the pod's is the container's.
    let files = cluster.script(&format!(
        "cd /sys/fs/cgroup/keelson-*/kubepods/pod{uid} && tail -n +1 memory.max cpu.max */memory.max */cpu.max */cpu.weight */pids.current"
    ))?;
    let values: Vec<_> = files
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("==>"))
        .collect();
    ensure!(
        values == ["67108864", "20000 100000", "67108864", "20000 100000", "8", "1"],
        "{files}"
    );

    let pod = cluster.pod(
        "hungry",
        "dd if=/dev/zero of=/dev/null bs=200M count=1",
        r#"{"limits":{"memory":"32Mi"}}"#,
        r#""phase":"Failed""#,
    )?;
    ensure!(
        pod.contains(r#""reason":"OOMKilled""#) && pod.contains(r#""exitCode":137"#),
        "{pod}"
    );
    let still = cluster.script("api GET /api/v1/namespaces/default/pods/limited")?;
    ensure!(
        still.contains(r#""phase":"Running""#) && still.contains(r#""restartCount":0"#),
        "{still}"
    );

    cluster.script("keelson reset --data-dir /disk0/keelson && ! ls -d /sys/fs/cgroup/keelson-*")?;
    cluster.machine.power_off()?;
    Ok(())
}
