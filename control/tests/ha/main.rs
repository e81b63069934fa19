//! High availability: three control planes, each a process of its own, on an etcd of three members, while clients create,
//! compare and swap, and watch. They are restarted one after the other; an etcd member and the leading control plane are
//! killed. Nothing that was acknowledged may be lost, no watcher may miss or repeat an event, and controllers go on.

mod agree;
mod history;
mod load;
#[path = "../peers/etcd.rs"]
mod peer;
mod planes;
mod quotas;
mod starts;

use std::time::{Duration, Instant};

use load::Load;
use peer::Peer;
use planes::Planes;

/// Longest time in which another control plane must take over: the Lease's duration, a try, and a start on a busy machine.
const TAKE_OVER: Duration = Duration::from_secs(40);

/// One control plane; started by the test below with its settings in the environment.
#[test]
fn plane() {
    planes::child();
}

#[test]
fn nothing_is_lost_when_servers_come_and_go() {
    let Some(mut etcd) = Peer::start(3) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut planes = Planes::start(&etcd.urls());
    let clients = runtime.block_on(planes.clients());
    runtime.block_on(controllers_work(&clients, "first", TAKE_OVER));
    runtime.block_on(agree::reads_are_current(&clients));
    runtime.block_on(agree::addresses_are_given_once(&clients));
    runtime.block_on(quotas::hold(&clients));
    let load = runtime.block_on(Load::start(&clients));
    let rest = |seconds| std::thread::sleep(Duration::from_secs(seconds));
    rest(2);

    for plane in 0..3 {
        planes.stop(plane);
        rest(1);
        planes.resume(plane);
        rest(1);
    }

    let leader = etcd.leader().expect("a leader of etcd");
    etcd.kill(leader);
    rest(4);
    etcd.restart(leader);
    rest(1);

    let (leader, _) = runtime.block_on(planes.leader(&clients)).expect("a leader");
    planes.kill(leader);
    let began = Instant::now();
    let left: Vec<_> = (0..3)
        .filter(|plane| *plane != leader)
        .map(|plane| clients[plane].clone())
        .collect();
    runtime.block_on(controllers_work(&left, "second", TAKE_OVER));
    println!(
        "after the leader was killed, another one had done its work in {:?}",
        began.elapsed()
    );
    let (next, _) = runtime.block_on(planes.leader(&left)).expect("another leader");
    assert_ne!(next, leader);
    runtime.block_on(endpoints_are(&left[0], 2));
    planes.resume(leader);
    runtime.block_on(endpoints_are(&left[0], 3));

    let outcome = runtime.block_on(load.finish());
    println!("{}", outcome.summary());
    runtime.block_on(outcome.check(&clients));
}

/// A Deployment becomes pods, and these get a node.
async fn controllers_work(clients: &[kube::Client], name: &str, limit: Duration) {
    use k8s_openapi::api::core::v1::Pod;
    use kube::api::{Api, ListParams};
    let began = Instant::now();
    planes::create(&clients[0], "/api/v1/nodes", &planes::node(name)).await;
    planes::set_ready(&clients[0], name).await;
    let path = "/apis/apps/v1/namespaces/default/deployments";
    planes::create(&clients[0], path, &planes::deployment(name)).await;
    let pods: Api<Pod> = Api::default_namespaced(clients[1].clone());
    loop {
        let list = pods
            .list(&ListParams::default().labels(&format!("app={name}")))
            .await;
        let bound = list.map_or(0, |list| {
            let has_node = |pod: &&Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
            list.items.iter().filter(has_node).count()
        });
        if bound == 2 {
            return;
        }
        assert!(
            began.elapsed() < limit,
            "after {limit:?}, {bound} of 2 pods have a node"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The `kubernetes` Service has so many endpoints, within the time in which a dead server is found out.
async fn endpoints_are(client: &kube::Client, count: usize) {
    use k8s_openapi::api::core::v1::Endpoints;
    let endpoints: kube::Api<Endpoints> = kube::Api::namespaced(client.clone(), "default");
    let began = Instant::now();
    loop {
        let found = endpoints.get("kubernetes").await.map_or(0, |endpoints| {
            let subsets = endpoints.subsets.unwrap_or_default();
            subsets
                .iter()
                .filter_map(|subset| subset.addresses.as_ref())
                .map(Vec::len)
                .sum()
        });
        if found == count {
            return;
        }
        assert!(
            began.elapsed() < TAKE_OVER,
            "{found} endpoints instead of {count}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
