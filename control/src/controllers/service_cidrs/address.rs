//! An IPAddress for each cluster address of a Service.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::admission::{ADDRESS_FAMILY, ADDRESS_MANAGED_BY, ADDRESS_MANAGER};
use crate::controllers::api::{Api, Error, resources};
use crate::controllers::informer::{Informer, Next, Queue};
use crate::controllers::model::{IpAddress, Parent, Service};
use crate::controllers::{APISERVER, Context};

/// Starts it.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let queue: Arc<Queue<IpAddr>> = Queue::new();
    let adder = queue.clone();
    context.services.on_change(move |old, new| {
        for address in [old, new]
            .into_iter()
            .flatten()
            .flat_map(|service| service.addresses())
        {
            adder.add(address);
        }
    });
    let adder = queue.clone();
    context.ip_addresses.on_change(move |old, new| {
        let name = new.or(old).map(|object| object.metadata.name.parse());
        if let Some(Ok(address)) = name {
            adder.add(address);
        }
    });
    let (api, services, addresses) = (
        context.api(APISERVER),
        context.services.clone(),
        context.ip_addresses.clone(),
    );
    tasks.spawn(async move {
        services.synced().await;
        addresses.synced().await;
        queue
            .work("service-ip-address", |address| {
                look(&api, &services, &addresses, address)
            })
            .await;
    });
}

/// What is to be done about an address.
#[derive(Debug, PartialEq)]
pub(super) enum Deed {
    Nothing,
    Make(Value),
    /// The one with this UID.
    Remove(String),
}

/// Decides about an address that these Services hold. An IPAddress of somebody else stays; the allocator gives its
/// address to nobody.
pub(super) fn decide(address: IpAddr, holders: &[Arc<Service>], known: Option<&IpAddress>) -> Deed {
    // More than one hold it only if something else than this server has written them.
    let holder = holders.iter().min_by_key(|service| service.metadata.created);
    match (holder, known) {
        (Some(service), None) => Deed::Make(object(address, service)),
        (holder, Some(known)) if is_ours(known) => {
            let right = holder.is_some_and(|service| known.spec.parent_ref == parent(service));
            if right || known.metadata.deleted.is_some() {
                Deed::Nothing
            } else {
                Deed::Remove(known.metadata.uid.clone())
            }
        }
        _ => Deed::Nothing,
    }
}

/// Whether it was made here.
pub(super) fn is_ours(address: &IpAddress) -> bool {
    let manager = address.metadata.labels.get(ADDRESS_MANAGED_BY);
    manager.is_some_and(|manager| manager == ADDRESS_MANAGER)
}

fn parent(service: &Service) -> Parent {
    Parent {
        group: String::new(),
        resource: "services".to_owned(),
        namespace: service.metadata.namespace.clone(),
        name: service.metadata.name.clone(),
    }
}

fn object(address: IpAddr, service: &Service) -> Value {
    let family = if address.is_ipv6() { "IPv6" } else { "IPv4" };
    json!({
        "metadata": {
            "name": address.to_string(),
            "labels": {ADDRESS_FAMILY: family, ADDRESS_MANAGED_BY: ADDRESS_MANAGER},
        },
        "spec": {"parentRef": {
            "resource": "services",
            "namespace": service.metadata.namespace,
            "name": service.metadata.name,
        }},
    })
}

async fn look(
    api: &Api,
    services: &Informer<Service>,
    addresses: &Informer<IpAddress>,
    address: IpAddr,
) -> Result<Next, Error> {
    let name = address.to_string();
    let known = addresses.store().get("", &name);
    let resource = resources::ip_addresses();
    match decide(address, &services.store().by_index(&name), known.as_deref()) {
        Deed::Nothing => {}
        Deed::Make(object) => match api.create(resource, "", object).await {
            // It comes by the informer and is looked at then.
            Err(error) if error.is_already_exists() => {}
            made => drop(made?),
        },
        Deed::Remove(uid) => {
            let options = json!({"preconditions": {"uid": uid}});
            match api.delete(resource, "", &name, &options).await {
                // Another one has taken its place, which comes by the informer.
                Err(error) if error.is_conflict() => {}
                gone => drop(gone?),
            }
        }
    }
    Ok(Next::Wait)
}
