//! One pod at a time: how it starts, fails, is probed and ends.

use anyhow::{Result, ensure};
use keelson_tests::eventually;

use crate::context::{Context, PATIENCE, Test, contains};

pub const TESTS: &[Test] = &[
    ("image_errors", image_errors),
    ("config_errors", config_errors),
    ("crash_loop", crash_loop),
    ("init_containers", init_containers),
    ("restart_policies", restart_policies),
    ("probes", probes),
    ("hooks_and_graceful_end", hooks),
    ("identity_and_confinement", confinement),
    ("environment", environment),
    ("containers_share_the_pod", shared),
    ("oci_bundle", bundle),
    ("termination_message", termination_message),
    ("status_of_a_running_pod", status),
];

fn pod(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 2\n{spec}"
    )
}

const WAITING: &str = "{.status.containerStatuses[0].state.waiting.reason}";

fn image_errors(c: &Context) -> Result<()> {
    c.apply(&pod(
        "unknown",
        "  containers: [{name: c, image: 'localhost:1/nothing:1'}]\n",
    ))?;
    c.apply(&pod(
        "never",
        "  containers: [{name: c, image: 'nothing:1', imagePullPolicy: Never}]\n",
    ))?;
    c.apply(&pod(
        "invalid",
        "  containers: [{name: c, image: 'UPPER//case'}]\n",
    ))?;
    c.until("pod/never", WAITING, "ErrImageNeverPull")?;
    c.until("pod/invalid", WAITING, "InvalidImageName")?;
    c.until("pod/unknown", WAITING, "ImagePullBackOff")?;
    let refused = c.kubectl.fails(&["logs", "never"])?;
    contains(
        &refused,
        &["container \"c\" in pod \"never\" is waiting to start: ErrImageNeverPull"],
    )?;
    contains(
        &c.kubectl.ok(&["describe", "pod", "unknown"])?,
        &["Failed", "ErrImagePull", "ImagePullBackOff", "BackOff"],
    )
}

fn config_errors(c: &Context) -> Result<()> {
    c.apply(&pod(
        "waits",
        "  containers:\n  - {name: c, image: 'busybox:1.36', command: [sleep, '3600'], env: [{name: A, valueFrom: {configMapKeyRef: {name: late, key: a}}}]}\n",
    ))?;
    c.until("pod/waits", WAITING, "CreateContainerConfigError")?;
    contains(
        &c.kubectl.ok(&["describe", "pod", "waits"])?,
        &["configmap \"late\" not found"],
    )?;
    c.kubectl
        .ok(&["create", "configmap", "late", "--from-literal=a=now"])?;
    c.ready("waits")?;
    ensure!(
        c.kubectl.ok(&["exec", "waits", "--", "sh", "-c", "echo $A"])? == "now\n",
        "value"
    );
    c.apply(&pod("nocommand", "  restartPolicy: Never\n  containers: [{name: c, image: 'busybox:1.36', command: [/no/such/program]}]\n"))?;
    c.until("pod/nocommand", "{.status.phase}", "Failed")
}

fn crash_loop(c: &Context) -> Result<()> {
    c.apply(&pod(
        "crash",
        "  containers: [{name: c, image: 'busybox:1.36', command: [sh, -c, 'exit 5']}]\n",
    ))?;
    c.until("pod/crash", WAITING, "CrashLoopBackOff")?;
    c.until(
        "pod/crash",
        "{.status.containerStatuses[0].lastState.terminated.exitCode}",
        "5",
    )?;
    contains(
        &c.kubectl.ok(&["get", "pod", "crash"])?,
        &["0/1", "CrashLoopBackOff"],
    )?;
    contains(
        &c.kubectl.ok(&["describe", "pod", "crash"])?,
        &["Back-off restarting failed container c in pod crash"],
    )
}

fn init_containers(c: &Context) -> Result<()> {
    c.apply(&pod(
        "steps",
        "  volumes: [{name: v, emptyDir: {}}]\n  initContainers:\n  - {name: one, image: 'busybox:1.36', command: [sh, -c, 'echo 1 > /v/f'], volumeMounts: [{name: v, mountPath: /v}]}\n  \
         - {name: two, image: 'busybox:1.36', command: [sh, -c, 'echo 2 >> /v/f'], volumeMounts: [{name: v, mountPath: /v}]}\n  \
         containers:\n  - {name: main, image: 'busybox:1.36', command: [sh, -c, 'cat /v/f; sleep 3600'], volumeMounts: [{name: v, mountPath: /v}]}\n",
    ))?;
    c.ready("steps")?;
    // Running does not mean that it has written yet.
    eventually(PATIENCE, || {
        let log = c.kubectl.ok(&["logs", "steps", "-c", "main"])?;
        ensure!(log == "1\n2\n", "in order: {log:?}");
        Ok(())
    })?;
    c.until(
        "pod/steps",
        "{.status.initContainerStatuses[*].state.terminated.reason}",
        "Completed Completed",
    )?;
    c.apply(&pod(
        "stuck",
        "  restartPolicy: Never\n  initContainers: [{name: bad, image: 'busybox:1.36', command: ['false']}]\n  containers: [{name: main, image: 'busybox:1.36', command: [sleep, '3600']}]\n",
    ))?;
    c.until("pod/stuck", "{.status.phase}", "Failed")?;
    contains(&c.kubectl.ok(&["get", "pod", "stuck"])?, &["Init:Error"])
}

fn restart_policies(c: &Context) -> Result<()> {
    c.apply(&pod(
        "succeeds",
        "  restartPolicy: OnFailure\n  containers: [{name: c, image: 'busybox:1.36', command: ['true']}]\n",
    ))?;
    c.apply(&pod("fails", "  restartPolicy: Never\n  containers: [{name: c, image: 'busybox:1.36', command: [sh, -c, 'exit 9']}]\n"))?;
    c.until("pod/succeeds", "{.status.phase}", "Succeeded")?;
    contains(
        &c.kubectl.ok(&["get", "pod", "succeeds"])?,
        &["0/1", "Completed", " 0 "],
    )?;
    c.until("pod/fails", "{.status.phase}", "Failed")?;
    c.until(
        "pod/fails",
        "{.status.containerStatuses[0].state.terminated.exitCode}",
        "9",
    )?;
    c.until(
        "pod/fails",
        "{.status.containerStatuses[0].state.terminated.reason}",
        "Error",
    )
}

fn probes(c: &Context) -> Result<()> {
    c.apply(&pod(
        "probed",
        "  containers:\n  - name: c\n    image: busybox:1.36\n    command: [sh, -c, 'touch /tmp/ready /tmp/live; sleep 3600']\n    \
         readinessProbe: {exec: {command: [cat, /tmp/ready]}, periodSeconds: 1, failureThreshold: 1}\n    \
         livenessProbe: {exec: {command: [cat, /tmp/live]}, periodSeconds: 1, failureThreshold: 2}\n",
    ))?;
    c.apply(&pod(
        "web",
        "  containers:\n  - name: c\n    image: k8s.gcr.io/echoserver:1.4\n    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}\n    \
         livenessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}\n    startupProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}\n",
    ))?;
    c.ready("probed")?;
    c.ready("web")?;
    let ready = "{.status.conditions[?(@.type==\"Ready\")].status}";
    c.kubectl.ok(&["exec", "probed", "--", "rm", "/tmp/ready"])?;
    c.until("pod/probed", ready, "False")?;
    c.kubectl.ok(&["exec", "probed", "--", "touch", "/tmp/ready"])?;
    c.until("pod/probed", ready, "True")?;
    c.kubectl.ok(&["exec", "probed", "--", "rm", "/tmp/live"])?;
    c.until("pod/probed", "{.status.containerStatuses[0].restartCount}", "1")?;
    let text = c.kubectl.ok(&["describe", "pod", "probed"])?;
    contains(
        &text,
        &[
            "Unhealthy",
            "Readiness probe failed:",
            "Liveness probe failed:",
            "failed liveness probe, will be restarted",
        ],
    )
}

fn hooks(c: &Context) -> Result<()> {
    c.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: hooked}\nspec:\n  terminationGracePeriodSeconds: 20\n  volumes: [{name: v, hostPath: {path: /tmp}}]\n  containers:\n  - name: c\n    image: busybox:1.36\n    \
         command: [sh, -c, 'trap \"echo term; exit 0\" TERM; while true; do sleep 0.1; done']\n    \
         lifecycle: {postStart: {exec: {command: [sh, -c, 'echo started > /proc/1/fd/1']}}, preStop: {exec: {command: [sh, -c, 'echo stopping > /proc/1/fd/1']}}}\n",
    )?;
    c.ready("hooked")?;
    let mut follow = c.kubectl.start(&["logs", "-f", "hooked"])?;
    follow.line("started", PATIENCE)?;
    let begun = std::time::Instant::now();
    c.kubectl.ok(&["delete", "pod", "hooked"])?;
    ensure!(
        begun.elapsed().as_secs() < 15,
        "the trap ends it long before the grace period: {:?}",
        begun.elapsed()
    );
    follow.line("stopping", PATIENCE)?;
    follow.line("term", PATIENCE)?;
    Ok(())
}

fn confinement(c: &Context) -> Result<()> {
    c.apply(&pod(
        "plain",
        "  containers:\n  - {name: c, image: 'busybox:1.36', command: [sleep, '3600']}\n",
    ))?;
    c.apply(&pod(
        "strict",
        "  securityContext: {runAsUser: 1234, runAsGroup: 2345, fsGroup: 3456, supplementalGroups: [4567]}\n  volumes: [{name: v, emptyDir: {}}]\n  containers:\n  - name: c\n    image: busybox:1.36\n    command: [sleep, '3600']\n    \
         volumeMounts: [{name: v, mountPath: /v}]\n    securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}\n",
    ))?;
    c.apply(&pod("root", "  securityContext: {runAsNonRoot: true}\n  containers: [{name: c, image: 'busybox:1.36', command: [sleep, '3600']}]\n"))?;
    c.ready("plain")?;
    let exec = |pod: &str, script: &str| c.kubectl.run(&["exec", pod, "--", "sh", "-c", script]);
    let status = exec("plain", "cat /proc/1/status")?.stdout;
    // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP
    contains(
        &status,
        &[
            "CapEff:\t00000000a80425fb",
            "CapInh:\t0000000000000000",
            "CapAmb:\t0000000000000000",
            "Seccomp:\t2",
        ],
    )?;
    ensure!(
        exec("plain", "echo x > /proc/sys/kernel/hostname")?.code != 0,
        "/proc/sys is read-only"
    );
    ensure!(
        exec("plain", "mount -t tmpfs none /mnt")?.code != 0,
        "no mounts without the capability"
    );
    ensure!(
        exec("plain", "head -c1 /proc/kcore 2>/dev/null | wc -c")?
            .stdout
            .trim()
            == "0",
        "masked"
    );
    ensure!(
        exec("plain", "ls /proc | grep -c '^[0-9]'")?
            .stdout
            .trim()
            .parse::<u32>()?
            < 10,
        "own processes only"
    );
    c.ready("strict")?;
    contains(
        &exec("strict", "id")?.stdout,
        &["uid=1234", "gid=2345", "3456", "4567"],
    )?;
    ensure!(exec("strict", "touch /x")?.code != 0, "read-only root");
    ensure!(
        exec("strict", "touch /v/x && stat -c %g /v/x")?.stdout.trim() == "3456",
        "fsGroup owns the volume"
    );
    contains(
        &exec("strict", "cat /proc/1/status")?.stdout,
        &["CapEff:\t0000000000000000", "NoNewPrivs:\t1"],
    )?;
    c.until("pod/root", WAITING, "CreateContainerConfigError")?;
    contains(
        &c.kubectl.ok(&["describe", "pod", "root"])?,
        &["container has runAsNonRoot and image will run as root"],
    )
}

fn environment(c: &Context) -> Result<()> {
    c.kubectl
        .ok(&["create", "configmap", "conf", "--from-literal=color=blue"])?;
    c.kubectl.ok(&[
        "create",
        "secret",
        "generic",
        "keys",
        "--from-literal=token=s3cret",
    ])?;
    c.kubectl
        .ok(&["create", "service", "clusterip", "web-front", "--tcp=80:80"])?;
    c.apply(&pod(
        "env",
        "  containers:\n  - name: c\n    image: busybox:1.36\n    command: [sh, -c, 'sleep 3600', $(GREETING)]\n    resources: {requests: {cpu: 250m, memory: 32Mi}, limits: {memory: 64Mi}}\n    \
         envFrom: [{configMapRef: {name: conf}, prefix: C_}, {secretRef: {name: gone, optional: true}}]\n    env:\n    \
         - {name: PLAIN, value: hi}\n    - {name: GREETING, value: '$(PLAIN) there $$(PLAIN) $(MISSING)'}\n    \
         - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}\n    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}\n    \
         - {name: TOKEN, valueFrom: {secretKeyRef: {name: keys, key: token}}}\n    - {name: MEM, valueFrom: {resourceFieldRef: {resource: limits.memory}}}\n    \
         - {name: CPU, valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}}\n",
    ))?;
    c.ready("env")?;
    let text = c.kubectl.ok(&["exec", "env", "--", "env"])?;
    contains(
        &text,
        &[
            "PLAIN=hi\n",
            "GREETING=hi there $(PLAIN) $(MISSING)\n",
            "POD=env\n",
            "TOKEN=s3cret\n",
            "C_color=blue\n",
            "MEM=67108864\n",
            "CPU=250\n",
            "WEB_FRONT_SERVICE_PORT=80\n",
            "KUBERNETES_SERVICE_PORT=443\n",
        ],
    )?;
    let ip = c
        .kubectl
        .ok(&["get", "pod", "env", "-o", "jsonpath={.status.podIP}"])?;
    contains(&text, &[&format!("IP={ip}\n")])?;
    c.until("pod/env", "{.status.qosClass}", "Burstable")
}

fn shared(c: &Context) -> Result<()> {
    c.apply(&pod(
        "pair",
        "  hostAliases: [{ip: 10.9.8.7, hostnames: [elsewhere.test]}]\n  hostname: custom\n  containers:\n  - {name: server, image: 'k8s.gcr.io/echoserver:1.4'}\n  - {name: client, image: 'busybox:1.36', command: [sleep, '3600']}\n",
    ))?;
    c.ready("pair")?;
    let exec = |script: &str| {
        c.kubectl
            .ok(&["exec", "pair", "-c", "client", "--", "sh", "-c", script])
    };
    contains(
        &exec("wget -qO- http://127.0.0.1:8080/loop")?,
        &["/loop", "Hostname: custom"],
    )?;
    ensure!(exec("hostname")? == "custom\n", "hostname");
    contains(
        &exec("cat /etc/hosts")?,
        &[
            "Kubernetes-managed hosts file",
            "10.9.8.7\telsewhere.test",
            "custom",
        ],
    )?;
    contains(
        &c.kubectl.fails(&["exec", "pair", "-c", "nobody", "--", "true"])?,
        &["nobody"],
    )
}

fn bundle(c: &Context) -> Result<()> {
    let dir = c.cluster.dir().join("bundle");
    std::fs::create_dir_all(dir.join("rootfs/bin"))?;
    std::fs::create_dir_all(dir.join("rootfs/work"))?;
    let busybox = ["/bin/busybox", "/usr/bin/busybox"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists());
    std::fs::copy(busybox.unwrap_or("/bin/busybox"), dir.join("rootfs/bin/sh"))?;
    let config = serde_json::json!({
        "ociVersion": "1.0.2", "root": {"path": "rootfs"},
        "process": {"args": ["/bin/sh", "-c", "echo $COLOR $(pwd) $(id -u); exec sleep 3600"], "env": ["COLOR=blue", "PATH=/bin"], "cwd": "/work", "user": {"uid": 77, "gid": 88}},
    });
    std::fs::write(dir.join("config.json"), config.to_string())?;
    std::os::unix::fs::symlink("sh", dir.join("rootfs/bin/sleep"))?;
    std::os::unix::fs::symlink("sh", dir.join("rootfs/bin/id"))?;
    let image = format!("oci-bundle://{}", dir.display());
    c.apply(&pod(
        "bundled",
        &format!("  containers: [{{name: c, image: '{image}'}}]\n"),
    ))?;
    c.apply(&pod("overridden", &format!("  containers: [{{name: c, image: '{image}', command: [/bin/sh, -c, 'echo $COLOR $EXTRA; exec sleep 3600'], env: [{{name: EXTRA, value: more}}]}}]\n")))?;
    c.ready("bundled")?;
    ensure!(
        c.kubectl.ok(&["logs", "bundled"])? == "blue /work 77\n",
        "{}",
        c.kubectl.ok(&["logs", "bundled"])?
    );
    c.ready("overridden")?;
    ensure!(
        c.kubectl.ok(&["logs", "overridden"])? == "blue more\n",
        "the pod spec wins"
    );
    Ok(())
}

fn termination_message(c: &Context) -> Result<()> {
    c.apply(&pod("says", "  restartPolicy: Never\n  containers: [{name: c, image: 'busybox:1.36', command: [sh, -c, 'echo -n goodbye > /dev/termination-log']}]\n"))?;
    c.until(
        "pod/says",
        "{.status.containerStatuses[0].state.terminated.message}",
        "goodbye",
    )?;
    c.apply(&pod("logged", "  restartPolicy: Never\n  containers: [{name: c, image: 'busybox:1.36', terminationMessagePolicy: FallbackToLogsOnError, command: [sh, -c, 'echo broken; exit 1']}]\n"))?;
    eventually(PATIENCE, || {
        let message = c.kubectl.ok(&[
            "get",
            "pod",
            "logged",
            "-o",
            "jsonpath={.status.containerStatuses[0].state.terminated.message}",
        ])?;
        ensure!(message.trim() == "broken", "{message:?}");
        Ok(())
    })
}

fn status(c: &Context) -> Result<()> {
    c.shell("box")?;
    let pod = c.kubectl.json(&["get", "pod", "box"])?;
    let status = &pod["status"];
    ensure!(
        status["phase"] == "Running" && status["qosClass"] == "BestEffort",
        "{status}"
    );
    ensure!(
        status["podIP"] == status["podIPs"][0]["ip"] && status["hostIP"].is_string(),
        "{status}"
    );
    let container = &status["containerStatuses"][0];
    ensure!(
        container["containerID"]
            .as_str()
            .is_some_and(|id| id.starts_with("keelson://") && id.len() == 74),
        "{container}"
    );
    ensure!(
        container["ready"] == true && container["started"] == true && container["imageID"].is_string(),
        "{container}"
    );
    for condition in [
        "PodScheduled",
        "PodReadyToStartContainers",
        "Initialized",
        "ContainersReady",
        "Ready",
    ] {
        let found = status["conditions"].as_array().is_some_and(|all| {
            all.iter()
                .any(|c| c["type"] == condition && c["status"] == "True")
        });
        ensure!(found, "condition {condition}: {status}");
    }
    contains(
        &c.kubectl.ok(&["get", "pods", "-A"])?,
        &["NAMESPACE", c.kubectl.current_namespace(), "1/1"],
    )
}
