//! ServiceCIDRs: ready from the start, and there until no Service needs them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::address::is_ours;
use super::prefix::Prefix;
use super::told::Told;
use crate::controllers::api::{Api, Error, resources};
use crate::controllers::informer::{Informer, Next, Queue};
use crate::controllers::model::{Condition, IpAddress, Service, ServiceCidr, Time};
use crate::controllers::{APISERVER, Context};

const NAME: &str = "service-cidrs-controller";
/// The ServiceCIDR of the configured ranges.
const DEFAULT: &str = crate::admission::DEFAULT_SERVICE_CIDR;
const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
/// Stands in the queue for all that are being deleted.
const DELETED: &str = "";

/// What it works with.
struct Work {
    api: Api,
    server: Api,
    told: Told,
    cidrs: Arc<Informer<ServiceCidr>>,
    addresses: Arc<Informer<IpAddress>>,
    services: Arc<Informer<Service>>,
    configured: Vec<String>,
    /// After a deletion, until every server knows that nothing is given out from it any more.
    grace: Duration,
    queue: Arc<Queue<String>>,
}

/// Starts it.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let queue: Arc<Queue<String>> = Queue::new();
    let adder = queue.clone();
    context.service_cidrs.on_change(move |old, new| {
        if let Some(cidr) = new.or(old) {
            adder.add(cidr.metadata.name.clone());
            adder.add(DELETED.to_owned());
        }
    });
    let adder = queue.clone();
    context.ip_addresses.on_change(move |old, new| {
        if old.is_none() != new.is_none() {
            adder.add(DELETED.to_owned());
        }
    });
    let adder = queue.clone();
    context.services.on_change(move |old, new| {
        let held = |service: Option<&Arc<Service>>| service.map(|service| service.addresses());
        // One that goes at once may never have had an IPAddress.
        if held(old).is_some_and(|before| held(new) != Some(before)) {
            adder.add(DELETED.to_owned());
        }
    });
    let (api, server) = (context.api(NAME), context.api(APISERVER));
    let work = Work {
        told: Told::new(&api, &server, tasks),
        api,
        server,
        cidrs: context.service_cidrs.clone(),
        addresses: context.ip_addresses.clone(),
        services: context.services.clone(),
        configured: context.config.service_cidrs.clone(),
        // Upstream's 10 seconds where there are other servers; here, for requests that are under way.
        grace: Duration::from_secs(if context.config.etcd.is_some() { 10 } else { 1 }),
        queue: queue.clone(),
    };
    tasks.spawn(async move {
        work.cidrs.synced().await;
        work.addresses.synced().await;
        work.services.synced().await;
        // It may be there no more since before this start.
        queue.add(DEFAULT.to_owned());
        queue.work(NAME, |name| work.look(name)).await;
    });
}

impl Work {
    async fn look(&self, name: String) -> Result<Next, Error> {
        if name == DELETED {
            for cidr in self.cidrs.store().all() {
                if cidr.metadata.deleted.is_some() {
                    self.queue.add(cidr.metadata.name.clone());
                }
            }
            return Ok(Next::Wait);
        }
        let Some(cidr) = self.cidrs.store().get("", &name) else {
            if name == DEFAULT && !self.configured.is_empty() {
                let object = json!({"metadata": {"name": DEFAULT}, "spec": {"cidrs": self.configured}});
                match self.server.create(resources::service_cidrs(), "", object).await {
                    Err(error) if error.is_already_exists() => {}
                    Err(error) => {
                        self.told.not_created(DEFAULT);
                        return Err(error);
                    }
                    Ok(_) => {}
                }
            }
            return Ok(Next::Wait);
        };
        if let Some(since) = cidr.metadata.deleted {
            return self.deleted(&cidr, since).await;
        }
        if name == DEFAULT && !self.configured.is_empty() {
            self.configure(&cidr).await?;
        }
        if !cidr.metadata.finalizers.iter().any(|one| one == FINALIZER) {
            self.edit(&self.api, &cidr, "", |live| finalizer(live, true))
                .await?;
        }
        let ready = self.condition(&cidr, "True", "", "Kubernetes Service CIDR is ready");
        match ready.await {
            // It has changed, and is looked at again.
            Err(error) if error.is_conflict() || error.is_not_found() => return Err(error),
            Err(error) => {
                self.told.not_ready(&cidr);
                return Err(error);
            }
            Ok(()) => {}
        }
        Ok(Next::Wait)
    }

    /// Brings the ServiceCIDR of the configured ranges to what they are, as far as it may change.
    async fn configure(&self, cidr: &ServiceCidr) -> Result<(), Error> {
        if !gets_second(&cidr.spec.cidrs, &self.configured) {
            if cidr.spec.cidrs != self.configured {
                self.told.inconsistent(cidr, &self.configured);
            }
            return Ok(());
        }
        let upgraded = self.edit(&self.server, cidr, "", |live| {
            live["spec"]["cidrs"] = json!(self.configured);
            true
        });
        upgraded.await.inspect_err(|error| {
            if !error.is_conflict() {
                self.told.not_upgraded(cidr, &self.configured, &error.message());
            }
        })
    }

    async fn deleted(&self, cidr: &ServiceCidr, since: Time) -> Result<Next, Error> {
        if !cidr.metadata.finalizers.iter().any(|one| one == FINALIZER) {
            return Ok(Next::Wait);
        }
        let ours = self
            .addresses
            .store()
            .all()
            .into_iter()
            .filter(|address| is_ours(address));
        let mut taken: Vec<IpAddr> = ours
            .filter_map(|address| address.metadata.name.parse().ok())
            .collect();
        // An IPAddress may come a moment after its Service.
        taken.extend(
            self.services
                .store()
                .all()
                .iter()
                .flat_map(|service| service.addresses()),
        );
        if is_needed(cidr, &self.cidrs.store().all(), &taken) {
            let why = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new \
                       ServiceCIDR";
            self.condition(cidr, "False", "Terminating", why).await?;
            // What lets it go comes through the queue.
            return Ok(Next::Wait);
        }
        let waited = u64::try_from(Time::now().since(since)).unwrap_or(0);
        if let Some(left) = self
            .grace
            .checked_sub(Duration::from_secs(waited))
            .filter(|left| !left.is_zero())
        {
            return Ok(Next::After(left));
        }
        self.edit(&self.api, cidr, "", |live| finalizer(live, false))
            .await?;
        Ok(Next::Wait)
    }

    async fn edit(
        &self,
        api: &Api,
        cidr: &ServiceCidr,
        subresource: &str,
        change: impl FnMut(&mut Value) -> bool + Send,
    ) -> Result<(), Error> {
        let place = ("", cidr.metadata.name.as_str(), cidr.metadata.uid.as_str());
        let resource = resources::service_cidrs();
        api.edit(resource, place, subresource, change).await.map(drop)
    }

    /// Writes the condition if it says something else.
    async fn condition(
        &self,
        cidr: &ServiceCidr,
        status: &str,
        reason: &str,
        message: &str,
    ) -> Result<(), Error> {
        let known = Condition::find(&cidr.status.conditions, "Ready");
        if known.is_some_and(|known| (known.status.as_str(), known.message.as_str()) == (status, message)) {
            return Ok(());
        }
        let condition = json!({
            "type": "Ready", "status": status, "reason": reason, "message": message,
            "lastTransitionTime": Time::now().to_string(),
        });
        self.edit(&self.api, cidr, "status", |live| {
            if live["status"].is_null() {
                live["status"] = json!({});
            }
            let list = live["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let others = list.into_iter().filter(|one| one["type"] != "Ready");
            live["status"]["conditions"] = others.chain([condition.clone()]).collect();
            true
        })
        .await
    }
}

/// Whether the configuration has a second family for it.
fn gets_second(stored: &[String], configured: &[String]) -> bool {
    matches!((stored, configured), ([one], [first, _]) if one == first)
}

/// Adds or removes the finalizer; whether that changes anything.
fn finalizer(live: &mut Value, there: bool) -> bool {
    let deleted = !live["metadata"]["deletionTimestamp"].is_null();
    let mut list = live["metadata"]["finalizers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let before = list.len();
    list.retain(|one| one != FINALIZER);
    if there {
        list.push(FINALIZER.into());
    }
    // Nothing may be added to what is being deleted, and nothing taken from what is not.
    let changes = list.len() != before && deleted != there;
    if changes {
        live["metadata"]["finalizers"] = list.into();
    }
    changes
}

fn prefixes(cidr: &ServiceCidr) -> impl Iterator<Item = Prefix> {
    cidr.spec.cidrs.iter().filter_map(|text| Prefix::parse(text))
}

/// Whether an address that is taken would be in no ServiceCIDR without this one.
pub(super) fn is_needed(cidr: &ServiceCidr, all: &[Arc<ServiceCidr>], taken: &[IpAddr]) -> bool {
    let others: Vec<Prefix> = all
        .iter()
        .filter(|other| other.metadata.name != cidr.metadata.name && other.metadata.deleted.is_none())
        .flat_map(|other| prefixes(other))
        .collect();
    prefixes(cidr)
        .filter(|own| !others.iter().any(|other| other.covers(own)))
        .any(|own| {
            let mut inside = taken.iter().filter(|address| own.has(**address));
            inside.any(|address| !others.iter().any(|other| other.has(*address)))
        })
}
