//! Services: cluster IP, node port, DNS, port-forward, rejection, hairpin.

use std::time::Duration;

use anyhow::{Result, ensure};
use keelson_tests::eventually;

use crate::context::{Context, PATIENCE, Test, contains};
use crate::discovery::http_get;

pub const TESTS: &[Test] = &[
    ("service_reached_every_way", every_way),
    ("service_without_endpoints_refuses", refuses),
    ("service_balances", balances),
    ("kubernetes_service_comes_back", kubernetes_service),
    ("dns", dns),
    ("udp_service", udp),
    ("pod_reaches_itself_through_its_service", hairpin),
];

fn hello(c: &Context, replicas: &str) -> Result<()> {
    c.kubectl.ok(&[
        "create",
        "deployment",
        "hello-world",
        "--image=k8s.gcr.io/echoserver:1.4",
        "--replicas",
        replicas,
    ])?;
    c.kubectl
        .ok(&["rollout", "status", "deployment/hello-world", "--timeout=60s"])
        .map(drop)
}

fn field(c: &Context, object: &str, path: &str) -> Result<String> {
    c.kubectl.ok(&["get", object, "-o", &format!("jsonpath={path}")])
}

/// GET until the service's rules are in the kernel.
fn get(address: &str) -> Result<String> {
    eventually(Duration::from_secs(10), || {
        let text = http_get(address, "/some/path?q=1")?;
        contains(&text, &["200 OK", "command=GET", "/some/path", "Hostname: "])?;
        Ok(text)
    })
}

fn every_way(c: &Context) -> Result<()> {
    hello(c, "1")?;
    contains(
        &c.kubectl.ok(&[
            "expose",
            "deployment",
            "hello-world",
            "--type=NodePort",
            "--port=8080",
        ])?,
        &["service/hello-world exposed"],
    )?;
    let cluster_ip = field(c, "service/hello-world", "{.spec.clusterIP}")?;
    let node_port = field(c, "service/hello-world", "{.spec.ports[0].nodePort}")?;
    let node = field(c, "node", "{.items[0].status.addresses[0].address}")?;
    let pod = field(c, "pods", "{.items[0].metadata.name}")?;
    let by_cluster_ip = get(&format!("{cluster_ip}:8080"))?;
    contains(&by_cluster_ip, &[&format!("Hostname: {pod}")])?;
    get(&format!("{node}:{node_port}"))?;
    c.shell("client")?;
    for url in [
        format!("http://{cluster_ip}:8080/"),
        "http://hello-world:8080/".into(),
        format!("http://{node}:{node_port}/"),
    ] {
        let text = c.kubectl.ok(&["exec", "client", "--", "wget", "-qO-", &url])?;
        contains(&text, &["command=GET", &format!("Hostname: {pod}")])?;
    }
    let mut forward = c
        .kubectl
        .start(&["port-forward", "service/hello-world", ":8080"])?;
    let line = forward.line("Forwarding from 127.0.0.1:", PATIENCE)?;
    let port = line
        .trim_start_matches("Forwarding from 127.0.0.1:")
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_owned();
    for _ in 0..3 {
        contains(
            &http_get(&format!("127.0.0.1:{port}"), "/forwarded")?,
            &["/forwarded", &format!("Hostname: {pod}")],
        )?;
    }
    contains(
        &c.kubectl.ok(&["describe", "service", "hello-world"])?,
        &["Type:", "NodePort", "Endpoints:", ":8080"],
    )?;
    contains(
        &c.kubectl.ok(&["get", "endpointslices,endpoints"])?,
        &["hello-world", "8080", "IPv4"],
    )
}

fn refuses(c: &Context) -> Result<()> {
    c.kubectl
        .ok(&["create", "service", "clusterip", "nobody", "--tcp=80:8080"])?;
    let ip = field(c, "service/nobody", "{.spec.clusterIP}")?;
    let address: std::net::SocketAddr = format!("{ip}:80").parse()?;
    eventually(
        Duration::from_secs(10),
        || match std::net::TcpStream::connect_timeout(&address, Duration::from_secs(3)) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
            other => anyhow::bail!("a service without endpoints must refuse: {other:?}"),
        },
    )
}

fn balances(c: &Context) -> Result<()> {
    hello(c, "3")?;
    c.kubectl.ok(&[
        "expose",
        "deployment",
        "hello-world",
        "--port=80",
        "--target-port=8080",
    ])?;
    let ip = field(c, "service/hello-world", "{.spec.clusterIP}")?;
    get(&format!("{ip}:80"))?;
    eventually(PATIENCE, || {
        let mut names = std::collections::BTreeSet::new();
        for _ in 0..40 {
            let text = http_get(&format!("{ip}:80"), "/")?;
            names.extend(
                text.lines()
                    .find_map(|line| line.strip_prefix("Hostname: ").map(str::to_owned)),
            );
        }
        ensure!(names.len() == 3, "40 requests reached {names:?}");
        Ok(())
    })
}

fn dns(c: &Context) -> Result<()> {
    hello(c, "2")?;
    c.kubectl
        .ok(&["expose", "deployment", "hello-world", "--port=8080"])?;
    c.kubectl.ok(&[
        "expose",
        "deployment",
        "hello-world",
        "--name=headless",
        "--cluster-ip=None",
        "--port=8080",
    ])?;
    c.shell("client")?;
    let ip = field(c, "service/hello-world", "{.spec.clusterIP}")?;
    let namespace = c.kubectl.current_namespace().to_owned();
    let lookup = |name: &str| c.kubectl.run(&["exec", "client", "--", "nslookup", name]);
    eventually(PATIENCE, || {
        contains(
            &lookup(&format!("hello-world.{namespace}.svc.cluster.local"))?.stdout,
            &[&ip],
        )
    })?;
    contains(&lookup("kubernetes.default.svc.cluster.local")?.stdout, &[".0.1"])?;
    let pods = field(c, "pods", "{.items[*].status.podIP}")?;
    let headless = lookup(&format!("headless.{namespace}.svc.cluster.local"))?.stdout;
    let backends: Vec<_> = field(c, "endpoints/headless", "{.subsets[*].addresses[*].ip}")?
        .split(' ')
        .map(str::to_owned)
        .collect();
    ensure!(
        backends.len() == 2 && backends.iter().all(|ip| headless.contains(ip)),
        "{headless} {pods}"
    );
    let missing = lookup(&format!("nothing.{namespace}.svc.cluster.local"))?;
    contains(&(missing.stdout + &missing.stderr), &["NXDOMAIN"])?;
    let resolv = c
        .kubectl
        .ok(&["exec", "client", "--", "cat", "/etc/resolv.conf"])?;
    contains(
        &resolv,
        &[
            "nameserver 10.",
            &format!("search {namespace}.svc.cluster.local svc.cluster.local cluster.local"),
            "ndots:5",
        ],
    )
}

fn kubernetes_service(c: &Context) -> Result<()> {
    let default = c.kubectl.namespace("default");
    let ip = default.ok(&["get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}"])?;
    default.ok(&["delete", "service", "kubernetes"])?;
    eventually(PATIENCE, || {
        let now = default.ok(&["get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}"])?;
        ensure!(now == ip, "{now}");
        Ok(())
    })
}

fn udp(c: &Context) -> Result<()> {
    c.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: server, labels: {app: udp}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - {name: c, image: 'k8s.gcr.io/echoserver:1.4'}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {name: udp}\nspec: {selector: {app: udp}, ports: [{port: 5353, targetPort: 8080, protocol: UDP}]}\n",
    )?;
    c.ready("server")?;
    let ip = field(c, "service/udp", "{.spec.clusterIP}")?;
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    eventually(PATIENCE, || {
        socket.send_to(b"ping", format!("{ip}:5353"))?;
        let mut buffer = [0; 16];
        let (length, _) = socket.recv_from(&mut buffer)?;
        ensure!(&buffer[..length] == b"ping", "{:?}", &buffer[..length]);
        Ok(())
    })
}

fn hairpin(c: &Context) -> Result<()> {
    c.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: self, labels: {app: self}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - {name: server, image: 'k8s.gcr.io/echoserver:1.4'}\n  - {name: client, image: 'busybox:1.36', command: [sleep, '3600']}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {name: mirror}\nspec: {selector: {app: self}, ports: [{port: 80, targetPort: 8080}]}\n",
    )?;
    c.ready("self")?;
    eventually(PATIENCE, || {
        let text = c.kubectl.ok(&[
            "exec",
            "self",
            "-c",
            "client",
            "--",
            "wget",
            "-qO-",
            "http://mirror/",
        ])?;
        contains(&text, &["Hostname: self"])
    })
}
