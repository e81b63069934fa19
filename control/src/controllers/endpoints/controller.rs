//! Follows services and pods, and writes what the plans say.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::backends::{Backends, backends};
use super::{legacy, slices};
use crate::controllers::Context;
use crate::controllers::api::{Api, Error, EventType, Recorder, resources};
use crate::controllers::informer::{Expectations, Informer, Key, Next, Queue};
use crate::controllers::model::{EndpointSlice, Endpoints, Node, Pod, Service, has_all};

const WORKERS: usize = 4;
/// Most ports of a slice (upstream's figure): a service of more has no slices.
const MOST_PORTS: usize = 20_000;
/// Most ports in all subsets of an Endpoints object: no request has more parts.
const MOST_IN_SUBSETS: usize = 65_536;
const ZONE: &str = "topology.kubernetes.io/zone";

struct Controller {
    slices_api: Api,
    endpoints_api: Api,
    slices_events: Recorder,
    endpoints_events: Recorder,
    services: Arc<Informer<Service>>,
    pods: Arc<Informer<Pod>>,
    nodes: Arc<Informer<Node>>,
    slices: Arc<Informer<EndpointSlice>>,
    endpoints: Arc<Informer<Endpoints>>,
    /// Slices that were made and have not been seen yet: who plans without them makes another one, and both stay.
    made: Arc<Expectations>,
    /// Two queues: an error in one kind does not delay the other.
    slice_queue: Arc<Queue<Key>>,
    endpoints_queue: Arc<Queue<Key>>,
}

/// Starts both controllers.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let slices_api = context.api("endpointslice-controller");
    let endpoints_api = context.api("endpoint-controller");
    let controller = Arc::new(Controller {
        slices_events: Context::recorder(&slices_api, "endpoint-slice-controller", tasks),
        endpoints_events: Context::recorder(&endpoints_api, "endpoint-controller", tasks),
        slices_api,
        endpoints_api,
        services: context.services.clone(),
        pods: context.pods.clone(),
        nodes: context.nodes.clone(),
        slices: context.endpoint_slices.clone(),
        endpoints: context.endpoints.clone(),
        made: Arc::default(),
        slice_queue: Queue::new(),
        endpoints_queue: Queue::new(),
    });
    controller.listen();
    for _ in 0..WORKERS {
        let this = controller.clone();
        tasks.spawn(async move {
            this.synced().await;
            let queue = this.slice_queue.clone();
            queue
                .work("endpointslice-controller", |key| this.reconcile_slices(key))
                .await;
        });
        let this = controller.clone();
        tasks.spawn(async move {
            this.synced().await;
            let queue = this.endpoints_queue.clone();
            queue
                .work("endpoint-controller", |key| this.reconcile_endpoints(key))
                .await;
        });
    }
}

/// Whether a pod's change matters to endpoints.
fn relevant(old: &Pod, new: &Pod) -> bool {
    old.metadata.labels != new.metadata.labels
        || old.metadata.deleted.is_some() != new.metadata.deleted.is_some()
        || old.is_ready() != new.is_ready()
        || old.has_ended() != new.has_ended()
        || old.status.pod_ip != new.status.pod_ip
        || old.status.pod_ips != new.status.pod_ips
        || old.spec.node_name != new.spec.node_name
}

fn at_most(ports: usize, most: usize) -> Result<(), String> {
    if ports > most {
        return Err(format!("{ports} ports are more than {most}"));
    }
    Ok(())
}

impl Controller {
    async fn synced(&self) {
        self.services.synced().await;
        self.pods.synced().await;
        self.nodes.synced().await;
        self.slices.synced().await;
        self.endpoints.synced().await;
    }

    fn listen(&self) {
        let (slice_queue, endpoints_queue) = (self.slice_queue.clone(), self.endpoints_queue.clone());
        self.services.on_change(move |old, new| {
            if let Some(service) = new.or(old) {
                slice_queue.add(service.metadata.key());
                endpoints_queue.add(service.metadata.key());
            }
        });
        let (slice_queue, endpoints_queue) = (self.slice_queue.clone(), self.endpoints_queue.clone());
        let services = self.services.clone();
        self.pods.on_change(move |old, new| {
            if let (Some(old), Some(new)) = (old, new)
                && !relevant(old, new)
            {
                return;
            }
            let Some(any) = new.or(old) else { return };
            for service in services.store().in_namespace(&any.metadata.namespace) {
                let Some(labels) = &service.spec.selector else {
                    continue;
                };
                if [old, new]
                    .into_iter()
                    .flatten()
                    .any(|pod| has_all(labels, &pod.metadata.labels))
                {
                    slice_queue.add(service.metadata.key());
                    endpoints_queue.add(service.metadata.key());
                }
            }
        });
        let (queue, made) = (self.slice_queue.clone(), self.made.clone());
        self.slices.on_change(move |old, new| {
            for slice in [old, new].into_iter().flatten() {
                if let Some(service) = slice.metadata.labels.get(slices::SERVICE_NAME) {
                    let service = Key::new(&slice.metadata.namespace, service);
                    let ours = slice.metadata.labels.get(slices::MANAGED_BY.0);
                    if old.is_none() && ours.is_some_and(|manager| manager == slices::MANAGED_BY.1) {
                        made.created(&service);
                    }
                    queue.add(service);
                }
            }
        });
        let queue = self.endpoints_queue.clone();
        let services = self.services.clone();
        self.endpoints.on_change(move |old, new| {
            let Some(endpoints) = new.or(old) else { return };
            let key = endpoints.metadata.key();
            // What somebody else has made for no service is theirs.
            if services.store().get_key(&key).is_some() || legacy::is_ours(endpoints) {
                queue.add(key);
            }
        });
    }

    /// The service and its backends, unless it has so many ports that nothing can be made of them; `None` if somebody else
    /// makes its endpoints.
    fn backends(&self, key: &Key) -> Option<(Arc<Service>, Result<Backends, String>)> {
        let service = self.services.store().get_key(key)?;
        let selector = service
            .spec
            .selector
            .clone()
            .filter(|selector| !selector.is_empty())?;
        if service.spec.kind == "ExternalName" || service.metadata.deleted.is_some() {
            return None;
        }
        let backends = at_most(service.spec.ports.len(), MOST_PORTS).map(|()| {
            let pods = self.pods.store().in_namespace(&key.namespace);
            backends(&service, &selector, &pods)
        });
        Some((service, backends))
    }

    async fn reconcile_slices(&self, key: Key) -> Result<Next, Error> {
        let Some((service, backends)) = self.backends(&key) else {
            // Slices of a deleted service go with their owner.
            self.made.forget(&key);
            return Ok(Next::Wait);
        };
        if let Some(left) = self.made.unseen(&key) {
            // The next one that is seen brings the service back; the timer does where its event was lost.
            return Ok(Next::After(left));
        }
        let backends = match backends {
            Ok(backends) => backends,
            Err(why) => {
                let message = format!(
                    "Error updating Endpoint Slices for Service {}/{}: {why}",
                    key.namespace, key.name
                );
                let reference = service.metadata.reference(resources::services());
                let reason = "FailedToUpdateEndpointSlices";
                self.slices_events
                    .record(&reference, EventType::Warning, reason, message);
                return Ok(Next::Wait);
            }
        };
        let index = format!("{}/{}", key.namespace, key.name);
        let mut existing = self.slices.store().by_index(&index);
        existing.retain(|slice| {
            let manager = slice.metadata.labels.get(slices::MANAGED_BY.0);
            manager.is_some_and(|manager| manager == slices::MANAGED_BY.1) && slice.metadata.deleted.is_none()
        });
        let zones: HashMap<String, String> = backends
            .values()
            .flatten()
            .filter_map(|backend| {
                let node = self.nodes.store().get("", &backend.pod.spec.node_name)?;
                Some((
                    node.metadata.name.clone(),
                    node.metadata.labels.get(ZONE)?.clone(),
                ))
            })
            .collect();
        let plan = slices::plan(&service, &backends, &existing, &zones);
        let resource = resources::endpoint_slices();
        let mut unmade = plan.create.len();
        self.made.expect(&key, unmade, []);
        for draft in plan.create {
            match self
                .slices_api
                .create(resource, &key.namespace, draft.body())
                .await
            {
                Ok(_) => unmade -= 1,
                Err(error) if error.is_namespace_terminating() || error.is_not_found() => {}
                Err(error) => {
                    self.made.created_many(&key, unmade);
                    return Err(error);
                }
            }
        }
        self.made.created_many(&key, unmade);
        for draft in plan.update {
            self.slices_api.replace(resource, "", &draft.body()).await?;
        }
        for name in plan.delete {
            self.slices_api
                .delete(resource, &key.namespace, &name, &json!({}))
                .await?;
        }
        Ok(Next::Wait.within(self.made.unseen(&key)))
    }

    async fn reconcile_endpoints(&self, key: Key) -> Result<Next, Error> {
        let Some((service, backends)) = self.backends(&key) else {
            return self.clean_up(&key).await;
        };
        let fitting = backends.and_then(|backends| {
            let ports = backends.keys().map(|ports| ports.len()).sum();
            at_most(ports, MOST_IN_SUBSETS).map(|()| backends)
        });
        let backends = match fitting {
            Ok(backends) => backends,
            Err(why) => {
                let message = format!("Failed to update endpoint {}/{}: {why}", key.namespace, key.name);
                let reference = service.metadata.reference(resources::services());
                let reason = "FailedToUpdateEndpoint";
                self.endpoints_events
                    .record(&reference, EventType::Warning, reason, message);
                return Ok(Next::Wait);
            }
        };
        let existing = self.endpoints.store().get_key(&key);
        let Some(body) = legacy::desired(&service, &backends, existing.as_deref()) else {
            return Ok(Next::Wait);
        };
        let result = match existing {
            Some(_) => {
                self.endpoints_api
                    .replace(resources::endpoints(), "", &body)
                    .await
            }
            None => {
                self.endpoints_api
                    .create(resources::endpoints(), &key.namespace, body)
                    .await
            }
        };
        match result {
            Err(error) if error.is_namespace_terminating() => Ok(Next::Wait),
            Err(error) => Err(error),
            Ok(_) => Ok(Next::Wait),
        }
    }

    /// Endpoints have no owner reference. As upstream does, those of a service that is gone are deleted whoever has made them:
    /// who calls has seen the service go, or has seen endpoints of our own.
    async fn clean_up(&self, key: &Key) -> Result<Next, Error> {
        let gone = self.services.store().get_key(key).is_none();
        if gone && let Some(endpoints) = self.endpoints.store().get_key(key) {
            let options: Value = json!({"preconditions": {"uid": endpoints.metadata.uid}});
            self.endpoints_api
                .delete(resources::endpoints(), &key.namespace, &key.name, &options)
                .await?;
        }
        Ok(Next::Wait)
    }
}
