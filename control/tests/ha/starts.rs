//! Control planes that start while etcd hangs.

use std::time::Duration;

use super::peer::Peer;
use super::planes::Planes;

#[test]
fn what_every_cluster_has_is_made_when_etcd_is_back() {
    let Some(etcd) = Peer::start(1) else { return };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // From the first objects on.
            let namespaces = ["get", "--prefix", "--keys-only", "/registry/namespaces/"];
            while etcd.ctl(&namespaces).trim().is_empty() {}
            etcd.pause(0, true);
            // Longer than a request may take.
            std::thread::sleep(Duration::from_secs(12));
            etcd.pause(0, false);
        });
        drop(Planes::start(&etcd.urls()));
    });
}
