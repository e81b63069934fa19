//! Several API servers of one cluster: each says that it is there, and the endpoints of the `kubernetes` Service are
//! those who do.
//!
//! A server renews a Lease in `kube-system` with upstream's name and label for API server identities. One whose Lease was
//! not renewed for its duration is taken out of the endpoints by the others, as upstream's lease endpoint reconciler does,
//! and with its times.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use keelson_api::time;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::controllers::api::{Api, Error, resources};

const NAMESPACE: &str = "kube-system";
/// Tells these Leases from others (KEP-1965).
const LABEL: &str = "apiserver.kubernetes.io/identity";
/// Where the server is reached.
const ADDRESS: &str = "keelson.io/advertise-address";
/// How long a server counts as there without a word.
const DURATION: Duration = Duration::from_secs(15);
/// Between words.
const PERIOD: Duration = Duration::from_secs(5);

/// This server.
#[derive(Debug)]
pub struct Presence {
    /// The API, as a user that may do this.
    pub api: Api,
    /// Where pods reach this server.
    pub advertise: SocketAddr,
    /// A name of this process that no other one has.
    pub process: String,
}

/// When the Leases were last seen to change.
#[derive(Debug, Default)]
struct Seen(BTreeMap<String, (Value, Instant)>);

impl Seen {
    /// The addresses of those who are there, and the names of Leases whose holders are not.
    fn look(&mut self, leases: &[Value], now: Instant) -> (BTreeSet<SocketAddr>, Vec<String>) {
        let (mut there, mut gone) = (BTreeSet::new(), Vec::new());
        let mut next = BTreeMap::new();
        for lease in leases {
            let name = lease["metadata"]["name"].as_str().unwrap_or_default();
            let renewed = &lease["spec"]["renewTime"];
            let since = match self.0.remove(name) {
                Some((known, since)) if known == *renewed => since,
                _ => now,
            };
            if now < since + DURATION {
                let address = lease["metadata"]["annotations"][ADDRESS].as_str();
                there.extend(address.and_then(|address| address.parse::<SocketAddr>().ok()));
            } else {
                gone.push(name.to_owned());
            }
            next.insert(name.to_owned(), (renewed.clone(), since));
        }
        self.0 = next;
        (there, gone)
    }
}

impl Presence {
    fn name(&self) -> String {
        let hash = digest(&SHA256, self.advertise.to_string().as_bytes());
        let bytes = hash
            .as_ref()
            .first_chunk()
            .map_or(0, |bytes| u128::from_be_bytes(*bytes));
        format!("apiserver-{bytes:032x}")
    }

    /// Says that we are there until `shutdown` resolves, and then that we are not.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut seen = Seen::default();
        loop {
            if let Err(error) = self.once(&mut seen).await {
                tracing::warn!(%error, "the endpoints of this API server could not be looked after");
            }
            tokio::select! {
                () = &mut shutdown => break,
                // Others tell us from a dead one by our saying something.
                () = sleep(PERIOD) => {}
            }
        }
        if let Err(error) = self.leave(&mut seen).await {
            tracing::warn!(%error, "this API server stays among the endpoints until others take it out");
        }
    }

    async fn once(&self, seen: &mut Seen) -> Result<(), Error> {
        self.renew().await?;
        let (there, gone) = seen.look(&self.leases().await?, Instant::now());
        for name in gone {
            tracing::info!(name, "an API server is gone");
            // One that comes back makes it again.
            self.api
                .delete(resources::leases(), NAMESPACE, &name, &json!({}))
                .await?;
        }
        self.publish(&there).await
    }

    async fn leave(&self, seen: &mut Seen) -> Result<(), Error> {
        self.api
            .delete(resources::leases(), NAMESPACE, &self.name(), &json!({}))
            .await?;
        let (there, _) = seen.look(&self.leases().await?, Instant::now());
        // The last one leaves its endpoint, as a single server does.
        if there.is_empty() {
            Ok(())
        } else {
            self.publish(&there).await
        }
    }

    async fn leases(&self) -> Result<Vec<Value>, Error> {
        let path = format!(
            "{}?labelSelector={LABEL}%3Dkube-apiserver",
            resources::leases().path(NAMESPACE)
        );
        let mut list: Value = self.api.get_path(&path, "application/json").await?;
        match list["items"].take() {
            Value::Array(leases) => Ok(leases),
            _ => Ok(Vec::new()),
        }
    }

    async fn renew(&self) -> Result<(), Error> {
        let name = self.name();
        let now = time::now_micro();
        let holder = format!("{name}_{}", self.process);
        let spec = |acquired: &Value| {
            json!({
                "holderIdentity": holder,
                "leaseDurationSeconds": DURATION.as_secs(),
                "acquireTime": acquired,
                "renewTime": now,
            })
        };
        let edited = self
            .api
            .edit(resources::leases(), (NAMESPACE, &name, ""), "", |lease| {
                let same = lease["spec"]["holderIdentity"] == *holder;
                let acquired = if same {
                    lease["spec"]["acquireTime"].clone()
                } else {
                    now.clone().into()
                };
                lease["spec"] = spec(&acquired);
                lease["metadata"]["annotations"][ADDRESS] = self.advertise.to_string().into();
                true
            });
        if edited.await?.is_some() {
            return Ok(());
        }
        let lease = json!({
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "labels": {LABEL: "kube-apiserver"},
                "annotations": {ADDRESS: self.advertise.to_string()},
            },
            "spec": spec(&now.clone().into()),
        });
        self.api
            .create(resources::leases(), NAMESPACE, lease)
            .await
            .map(drop)
    }

    /// Writes the endpoints, if they differ. Those of the port and family of this server; a cluster has one of each.
    async fn publish(&self, there: &BTreeSet<SocketAddr>) -> Result<(), Error> {
        let addresses: BTreeSet<std::net::IpAddr> = there
            .iter()
            .map(SocketAddr::ip)
            .filter(|address| address.is_ipv4() == self.advertise.is_ipv4())
            .collect();
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let listed: Vec<Value> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
        let endpoints = self.api.edit(
            resources::endpoints(),
            ("default", "kubernetes", ""),
            "",
            |object| match object.pointer_mut("/subsets/0/addresses") {
                Some(place) => set(place, listed.clone().into()),
                None => false,
            },
        );
        endpoints.await?;
        let listed: Vec<Value> = addresses
            .iter()
            .map(|ip| json!({"addresses": [ip], "conditions": {"ready": true}}))
            .collect();
        let slice = self.api.edit(
            resources::endpoint_slices(),
            ("default", "kubernetes", ""),
            "",
            |object| set(&mut object["endpoints"], listed.clone().into()),
        );
        slice.await.map(drop)
    }
}

/// Sets a value; whether it differed.
fn set(place: &mut Value, value: Value) -> bool {
    let differs = *place != value;
    *place = value;
    differs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(name: &str, renewed: &str) -> Value {
        json!({"metadata": {"name": name, "annotations": {ADDRESS: format!("10.0.0.{}:6443", name.len())}},
            "spec": {"renewTime": renewed}})
    }

    #[test]
    fn who_is_silent_for_too_long_is_gone() {
        let (start, mut seen) = (Instant::now(), Seen::default());
        let mut look = |leases: &[Value], seconds| {
            let (there, gone) = seen.look(leases, start + Duration::from_secs(seconds));
            (there.len(), gone)
        };
        assert_eq!(look(&[lease("a", "1"), lease("bb", "1")], 0), (2, vec![]));
        assert_eq!(look(&[lease("a", "2"), lease("bb", "1")], 14), (2, vec![]));
        assert_eq!(
            look(&[lease("a", "2"), lease("bb", "1")], 15),
            (1, vec!["bb".to_owned()])
        );
        assert_eq!(look(&[lease("a", "2")], 16), (1, vec![]));
        assert_eq!(
            look(&[lease("a", "3"), lease("bb", "1")], 29),
            (2, vec![]),
            "back again"
        );
    }
}
