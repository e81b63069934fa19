//! Slim views of API objects: only the fields that controllers and scheduler decide on.
//!
//! What a view leaves out is never written back: controllers patch, or read the whole object before they replace it.

mod disruption;
mod history;
mod job;
mod meta;
mod namespace;
mod node;
mod pod;
mod quota;
mod selector;
mod service;
mod service_cidr;
mod shared;
mod signing_request;
mod time;
mod token_secret;
mod values;
mod volume;
mod workload;

use serde::{Deserialize, Deserializer};

pub use disruption::{Budget, BudgetStatus};
pub use history::{
    ControllerRevision, DaemonSet, DaemonSetStatus, StatefulSet, StatefulSetStatus, UpdateStrategy,
};
pub use job::{CronJob, CronJobStatus, Job, JobStatus, Uncounted};
pub use meta::{Condition, Meta, OwnerReference, controller_reference, index_orphans, index_owned, metadata};
pub use namespace::{ConfigMap, Namespace};
pub use node::{Lease, Node, Taint};
pub use pod::{Container, ContainerPort, ContainerStatus, Pod, Toleration};
pub use quota::Quota;
pub use selector::{Requirement, Selector, has_all};
pub use service::{EndpointPort, EndpointSlice, Endpoints, Service, ServicePort};
pub use service_cidr::{IpAddress, Parent, ServiceCidr};
pub use shared::Shared;
pub use signing_request::CertificateRequest;
pub use time::Time;
pub use token_secret::TokenSecret;
pub use values::Values;
pub use volume::Volume;
pub use workload::{Deployment, DeploymentStatus, IntOrPercent, ReplicaSet, ReplicaSetStatus, Template};

/// `null` means the default, as for Go's decoder.
pub fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Leaves numbers out that are 0, as upstream does for most counts. The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &i64) -> bool {
    *number == 0
}
