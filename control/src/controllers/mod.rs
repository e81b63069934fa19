//! The reconcilers, each over a `kube::Client` of its own identity.
//!
//! [`informer`] holds one shared watch per resource; [`model`] the slim views that it caches; [`api`] the requests.
//! A controller is a folder or file: pure decisions over these views, and a thin part that carries them out.

pub mod api;
mod authority;
mod bootstrap;
mod certificates;
mod claim;
mod cluster_role;
mod cronjob;
mod daemonset;
mod deployment;
mod discovery;
mod disruption;
mod endpoints;
mod gc;
pub mod informer;
mod job;
pub mod model;
mod namespace;
mod node;
mod owners;
mod pod_gc;
mod pods;
mod protection;
mod replicaset;
mod resource_quota;
mod revisions;
mod root_ca;
mod service_account;
mod service_cidrs;
mod statefulset;
pub(crate) mod tasks;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use kube::Client;
use tokio::task::JoinSet;

use crate::auth::bootstrap_token;
use api::{Api, Recorder, resources};
use informer::{Informer, Object};
use model::{
    CertificateRequest, ConfigMap, ControllerRevision, CronJob, DaemonSet, Deployment, EndpointSlice,
    Endpoints, IpAddress, Job, Lease, Meta, Namespace, Node, Pod, Quota, ReplicaSet, Service, ServiceCidr,
    StatefulSet, TokenSecret, Volume,
};

/// What the API server does upstream and a controller does here is done as this user, not as a service account.
pub const APISERVER: &str = "system:apiserver";

/// Makes the client of a controller: the argument is the name of its service account in `kube-system`, or
/// [`APISERVER`].
pub type Clients = Arc<dyn Fn(&str) -> Client + Send + Sync>;

/// What every controller starts from: clients, and the informers they share.
struct Context {
    clients: Clients,
    config: crate::Config,
    pods: Arc<Informer<Pod>>,
    nodes: Arc<Informer<Node>>,
    leases: Arc<Informer<Lease>>,
    namespaces: Arc<Informer<Namespace>>,
    services: Arc<Informer<Service>>,
    service_cidrs: Arc<Informer<ServiceCidr>>,
    ip_addresses: Arc<Informer<IpAddress>>,
    endpoints: Arc<Informer<Endpoints>>,
    endpoint_slices: Arc<Informer<EndpointSlice>>,
    replica_sets: Arc<Informer<ReplicaSet>>,
    replication_controllers: Arc<Informer<ReplicaSet>>,
    deployments: Arc<Informer<Deployment>>,
    daemon_sets: Arc<Informer<DaemonSet>>,
    stateful_sets: Arc<Informer<StatefulSet>>,
    jobs: Arc<Informer<Job>>,
    cron_jobs: Arc<Informer<CronJob>>,
    controller_revisions: Arc<Informer<ControllerRevision>>,
    service_accounts: Arc<Informer<Meta>>,
    config_maps: Arc<Informer<ConfigMap>>,
    token_secrets: Arc<Informer<TokenSecret>>,
    cluster_info: Arc<Informer<ConfigMap>>,
    claims: Arc<Informer<Meta>>,
    volumes: Arc<Informer<Volume>>,
    quotas: Arc<Informer<Quota>>,
    signing_requests: Arc<Informer<CertificateRequest>>,
    /// Whom the garbage collector's feed tells of changes.
    quota_interest: Arc<resource_quota::Interest>,
}

impl Context {
    fn api(&self, name: &str) -> Api {
        Api::new((self.clients)(name))
    }

    fn recorder(api: &Api, component: &'static str, tasks: &mut JoinSet<()>) -> Recorder {
        let (recorder, writer) = Recorder::new(api.clone(), component);
        tasks.spawn(writer);
        recorder
    }
}

/// The identity of the shared informers: its role may list and watch everything.
const INFORMERS: &str = "generic-garbage-collector";

/// Runs all controllers until `shutdown` resolves.
pub async fn run(clients: Clients, config: &crate::Config, shutdown: impl Future<Output = ()>) {
    let quotas = Informer::new(resources::resource_quotas());
    let context = Context {
        config: config.clone(),
        pods: Informer::new(resources::pods()),
        nodes: Informer::new(resources::nodes()),
        leases: Informer::new(resources::leases()),
        namespaces: Informer::new(resources::namespaces()),
        services: Informer::new(resources::services()),
        service_cidrs: Informer::new(resources::service_cidrs()),
        ip_addresses: Informer::new(resources::ip_addresses()),
        endpoints: Informer::new(resources::endpoints()),
        endpoint_slices: Informer::new(resources::endpoint_slices()),
        replica_sets: Informer::new(resources::replica_sets()),
        replication_controllers: Informer::new(resources::replication_controllers()),
        deployments: Informer::new(resources::deployments()),
        daemon_sets: Informer::new(resources::daemon_sets()),
        stateful_sets: Informer::new(resources::stateful_sets()),
        jobs: Informer::new(resources::jobs()),
        cron_jobs: Informer::new(resources::cron_jobs()),
        controller_revisions: Informer::new(resources::controller_revisions()),
        service_accounts: Informer::metadata(resources::service_accounts()),
        config_maps: Informer::selecting(
            resources::config_maps(),
            &format!("metadata.name={}", root_ca::CONFIG_MAP),
        ),
        token_secrets: Informer::selecting(
            resources::secrets(),
            &format!(
                "type={},metadata.namespace={}",
                bootstrap_token::TYPE,
                bootstrap_token::NAMESPACE
            ),
        ),
        cluster_info: Informer::selecting(
            resources::config_maps(),
            &format!(
                "metadata.name={},metadata.namespace={}",
                bootstrap::CLUSTER_INFO,
                bootstrap::PUBLIC_NAMESPACE
            ),
        ),
        claims: Informer::metadata(resources::persistent_volume_claims()),
        signing_requests: Informer::new(resources::signing_requests()),
        volumes: Informer::new(resources::persistent_volumes()),
        quota_interest: Arc::new(resource_quota::Interest::new(quotas.clone())),
        quotas,
        clients,
    };
    let mut tasks = JoinSet::new();
    deployment::start(&context, &mut tasks);
    replicaset::start(&context, &mut tasks);
    node::start(&context, &mut tasks);
    endpoints::start(&context, &mut tasks);
    service_cidrs::start(&context, &mut tasks);
    service_account::start(&context, &mut tasks);
    root_ca::start(&context, &mut tasks);
    bootstrap::start(&context, &mut tasks);
    certificates::start(&context, &mut tasks);
    protection::start(&context, &mut tasks);
    resource_quota::start(&context, &mut tasks);
    namespace::start(&context, &mut tasks);
    gc::start(&context, &mut tasks);
    pod_gc::start(&context, &mut tasks);
    cluster_role::start(&context, &mut tasks);
    disruption::start(&context, &mut tasks);
    daemonset::start(&context, &mut tasks);
    statefulset::start(&context, &mut tasks);
    job::start(&context, &mut tasks);
    cronjob::start(&context, &mut tasks);

    let api = context.api(INFORMERS);
    follow(&context.pods, &api, &mut tasks);
    follow(&context.nodes, &api, &mut tasks);
    follow(&context.leases, &api, &mut tasks);
    follow(&context.namespaces, &api, &mut tasks);
    follow(&context.services, &api, &mut tasks);
    follow(&context.service_cidrs, &api, &mut tasks);
    follow(&context.ip_addresses, &api, &mut tasks);
    follow(&context.endpoints, &api, &mut tasks);
    follow(&context.endpoint_slices, &api, &mut tasks);
    follow(&context.replica_sets, &api, &mut tasks);
    follow(&context.replication_controllers, &api, &mut tasks);
    follow(&context.deployments, &api, &mut tasks);
    follow(&context.daemon_sets, &api, &mut tasks);
    follow(&context.stateful_sets, &api, &mut tasks);
    follow(&context.jobs, &api, &mut tasks);
    follow(&context.cron_jobs, &api, &mut tasks);
    follow(&context.controller_revisions, &api, &mut tasks);
    follow(&context.service_accounts, &api, &mut tasks);
    follow(&context.config_maps, &api, &mut tasks);
    follow(&context.token_secrets, &api, &mut tasks);
    follow(&context.cluster_info, &api, &mut tasks);
    follow(&context.claims, &api, &mut tasks);
    follow(&context.volumes, &api, &mut tasks);
    follow(&context.quotas, &api, &mut tasks);
    follow(&context.signing_requests, &api, &mut tasks);
    tokio::select! {
        () = shutdown => {}
        never = tasks::died(&mut tasks) => match never {},
    }
    // Dropping the set stops all tasks; what they were doing is picked up from the API at the next start.
}

fn follow<T: Object>(informer: &Arc<Informer<T>>, api: &Api, tasks: &mut JoinSet<()>) {
    tasks.spawn(informer.clone().run(api.clone()));
}
