//! When things go wrong: daemons killed at any moment, alone and together; bad starts.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keelson_tests::{Cluster, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::context::{Context, PATIENCE, Test, contains};
use crate::discovery::http_get;

pub const TESTS: &[Test] = &[
    ("killed_daemons_lose_nothing", killed_daemons),
    ("acknowledged_writes_survive_kills", writes_survive),
    ("an_established_connection_survives_kills", connection_survives),
    ("exit_codes_survive_kills", exit_codes),
    ("a_killed_supervisor_is_replaced", killed_supervisor),
    ("bad_starts", bad_starts),
    ("down_and_up_again", down_and_up),
    ("second_cluster_beside", second_cluster),
];

const DAEMONS: [&str; 3] = ["kubelet", "netd", "control"];

fn kill_daemons(c: &Cluster, names: &[&str]) -> Result<()> {
    let pids = names.iter().map(|name| c.pid(name)).collect::<Result<Vec<_>>>()?;
    for pid in pids {
        kill(Pid::from_raw(pid), Signal::SIGKILL)?;
    }
    Ok(())
}

fn healthy(c: &Cluster) -> Result<()> {
    eventually(PATIENCE, || {
        let status = c.status()?;
        ensure!(status["healthy"] == true, "{status}");
        Ok(())
    })
}

fn killed_daemons(c: &Context) -> Result<()> {
    c.kubectl.ok(&[
        "create",
        "deployment",
        "web",
        "--image=k8s.gcr.io/echoserver:1.4",
        "--replicas=2",
    ])?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    c.kubectl.ok(&["expose", "deployment", "web", "--port=8080"])?;
    let ip = c
        .kubectl
        .ok(&["get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"])?;
    let address = format!("{ip}:8080");
    eventually(PATIENCE, || http_get(&address, "/").map(drop))?;
    let pods = || {
        c.kubectl.ok(&["get", "pods", "-o", "jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}"])
    };
    let before = pods()?;
    for round in [&["kubelet"][..], &["netd"], &["control"], &DAEMONS] {
        kill_daemons(&c.cluster, round)?;
        contains(&http_get(&address, "/while-down")?, &["200 OK"])
            .with_context(|| format!("traffic while {round:?} is down"))?;
        healthy(&c.cluster)?;
        ensure!(
            pods()? == before,
            "after killing {round:?}: {} is not {before}",
            pods()?
        );
    }
    c.kubectl.ok(&["scale", "deployment", "web", "--replicas=3"])?;
    c.until("deployment/web", "{.status.readyReplicas}", "3")
}

fn writes_survive(c: &Context) -> Result<()> {
    let mut acknowledged = Vec::new();
    let mut revision = 0_u64;
    for round in 0..5 {
        for index in 0..10 {
            let name = format!("w-{round}-{index}");
            if index == round * 2 {
                kill_daemons(&c.cluster, &["control"])?;
            }
            if c.kubectl.run(&["create", "configmap", &name])?.code == 0 {
                acknowledged.push(name);
            }
        }
        healthy(&c.cluster)?;
        let path = format!("/api/v1/namespaces/{}/configmaps", c.kubectl.current_namespace());
        let list: serde_json::Value = serde_json::from_str(&c.kubectl.ok(&["get", "--raw", &path])?)?;
        let now: u64 = list["metadata"]["resourceVersion"]
            .as_str()
            .context("resourceVersion")?
            .parse()?;
        ensure!(
            now >= revision,
            "resourceVersion went back from {revision} to {now}"
        );
        revision = now;
    }
    // Those before the kills; how many come after one depends on how soon the server is back.
    ensure!(
        acknowledged.len() >= 20,
        "the server answered often enough to make a point: {}",
        acknowledged.len()
    );
    let present = c.kubectl.ok(&["get", "configmaps", "-o", "name"])?;
    for name in &acknowledged {
        ensure!(
            present.lines().any(|line| line == format!("configmap/{name}")),
            "{name} was acknowledged and is gone"
        );
    }
    Ok(())
}

fn connection_survives(c: &Context) -> Result<()> {
    use std::io::{BufRead, BufReader, Write};
    c.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: cat, labels: {app: cat}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - {name: c, image: 'busybox:1.36', command: [nc, -ll, -p, '9000', -e, cat]}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {name: cat}\nspec: {selector: {app: cat}, ports: [{port: 9000}]}\n",
    )?;
    c.ready("cat")?;
    let ip = c
        .kubectl
        .ok(&["get", "service", "cat", "-o", "jsonpath={.spec.clusterIP}"])?;
    let stream = eventually(PATIENCE, || {
        Ok(std::net::TcpStream::connect(format!("{ip}:9000"))?)
    })?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut say = |word: &str| -> Result<()> {
        (&stream).write_all(format!("{word}\n").as_bytes())?;
        let mut line = String::new();
        reader.read_line(&mut line)?;
        ensure!(line.trim_end() == word, "{line:?}");
        Ok(())
    };
    say("before")?;
    kill_daemons(&c.cluster, &DAEMONS)?;
    say("while they are down")?;
    healthy(&c.cluster)?;
    say("after")
}

fn exit_codes(c: &Context) -> Result<()> {
    c.kubectl.ok(&[
        "run",
        "leaves",
        "--image=busybox:1.36",
        "--restart=Never",
        "--",
        "sh",
        "-c",
        "sleep 1; echo last words; exit 42",
    ])?;
    c.until("pod/leaves", "{.status.phase}", "Running")?;
    kill_daemons(&c.cluster, &["kubelet"])?;
    c.until(
        "pod/leaves",
        "{.status.containerStatuses[0].state.terminated.exitCode}",
        "42",
    )?;
    healthy(&c.cluster)?;
    ensure!(c.kubectl.ok(&["logs", "leaves"])? == "last words\n", "log");
    Ok(())
}

fn killed_supervisor(c: &Context) -> Result<()> {
    c.shell("box")?;
    let container = || {
        let path =
            "jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}";
        c.kubectl.ok(&["get", "pod", "box", "-o", path])
    };
    let before = container()?;
    let supervisor = c.cluster.status()?["supervisorPid"]
        .as_i64()
        .context("supervisorPid")?;
    kill(Pid::from_raw(supervisor as i32), Signal::SIGKILL)?;
    c.cluster.up()?;
    healthy(&c.cluster)?;
    ensure!(container()? == before, "{} is not {before}", container()?);
    contains(
        &c.kubectl.ok(&["exec", "box", "--", "echo", "still here"])?,
        &["still here"],
    )
}

fn bad_starts(c: &Context) -> Result<()> {
    let again = c.cluster.keelson(&["up", "--detach"])?;
    ensure!(
        again.code != 0 && again.stderr.contains("already running"),
        "{again:?}"
    );
    let other = Cluster::new()?;
    let taken = other.keelson(&["up", "--detach", "--listen", c.cluster.listen()])?;
    ensure!(taken.code != 0 && taken.stderr.contains("is in use"), "{taken:?}");
    std::fs::write(other.dir().join("cluster.json"), "{broken")?;
    let damaged = other.keelson(&["up", "--detach"])?;
    ensure!(
        damaged.code != 0 && damaged.stderr.contains("cluster.json is damaged"),
        "{damaged:?}"
    );
    ensure!(
        other.keelson(&["reset"])?.code == 0,
        "reset works without a readable cluster.json"
    );
    let missing = other.keelson(&["image", "import", "/no/such/file", "--tag", "x"])?;
    ensure!(
        missing.code != 0 && missing.stderr.contains("/no/such/file"),
        "{missing:?}"
    );
    ensure!(
        other.keelson(&["reset"])?.code == 0 && other.keelson(&["reset"])?.code == 0,
        "reset twice"
    );
    Ok(())
}

fn down_and_up(c: &Context) -> Result<()> {
    c.kubectl
        .ok(&["create", "deployment", "web", "--image=k8s.gcr.io/echoserver:1.4"])?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
    c.cluster.ok(&["down"])?;
    let left = std::fs::read_to_string("/proc/self/mountinfo")?;
    let dir = c.cluster.dir().display().to_string();
    ensure!(!left.contains(&dir), "mounts left after down");
    c.cluster.up()?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/web", "--timeout=90s"])
        .map(drop)
}

fn second_cluster(c: &Context) -> Result<()> {
    let second = Cluster::start()?;
    let kubectl = second.kubectl()?;
    contains(&kubectl.ok(&["get", "nodes"])?, &["Ready"])?;
    kubectl.ok(&[
        "run",
        "box",
        "--image=busybox:1.36",
        "--restart=Never",
        "--",
        "sleep",
        "3600",
    ])?;
    kubectl.ok(&["wait", "--for=condition=Ready", "--timeout=60s", "pod/box"])?;
    c.shell("box")?;
    let address = |kubectl: &keelson_tests::Kubectl| {
        kubectl.ok(&["get", "pod", "box", "-o", "jsonpath={.status.podIP}"])
    };
    let (ours, theirs) = (address(&c.kubectl)?, address(&kubectl)?);
    ensure!(
        ours.split('.').nth(1) != theirs.split('.').nth(1),
        "{ours} and {theirs} are in one range"
    );
    let id = second.status()?["id"].as_str().unwrap_or_default().to_owned();
    drop(second);
    let links = std::process::Command::new("ip").args(["-br", "link"]).output()?;
    ensure!(
        !String::from_utf8_lossy(&links.stdout).contains(&id),
        "links of {id} are left"
    );
    ensure!(
        !std::path::Path::new(&format!("/run/keelson-{id}")).exists(),
        "run directory of {id} is left"
    );
    contains(
        &c.kubectl.ok(&["exec", "box", "--", "echo", "undisturbed"])?,
        &["undisturbed"],
    )
}
