//! The ordered chain of admission plug-ins: what changes and refuses requests after authorization.
//!
//! One file per plug-in, named as upstream names it, each a pair of plain functions over a [`Request`] and the
//! [`Context`]. The order and effect are kube-apiserver's. Service addresses and node ports are given out here too
//! ([`service_allocator`]), because like quota they must be given back when the write fails: [`Chain::settle`].

mod certificates;
mod configuration;
mod decoded;
mod default_ingress_class;
mod default_storage_class;
mod default_toleration_seconds;
mod fields;
mod limit_ranger;
mod mountable_secrets;
mod namespace_lifecycle;
mod node_audiences;
mod node_certificates;
mod node_restriction;
mod owner_references;
mod persistent_volume_claim_resize;
mod pod_resources;
mod pod_security;
mod policy_parameters;
mod priority;
mod request;
pub mod resource_quota;
mod runtime_class;
mod service_account;
mod service_allocator;
mod storage_object_in_use_protection;
mod taint_nodes_by_condition;
#[cfg(test)]
mod tests;
mod token_secrets;

use std::sync::Arc;

use keelson_api::status::Status;
use serde_json::Value;

use crate::Config;
use crate::auth::rbac::check_escalation;
use crate::auth::{Authorizer, UserInfo};
use crate::kinds::Kind;
use crate::object::Reader;

pub use configuration::ConfigurationError;
pub use request::{Operation, Request};
pub use storage_object_in_use_protection::{CLAIM as CLAIM_PROTECTION, VOLUME as VOLUME_PROTECTION};

use self::configuration::Plugins;
use self::decoded::Decoded;
use self::resource_quota::Quotas;
use self::service_allocator::ServiceAllocator;
pub use self::service_allocator::{
    ADDRESS_FAMILY, ADDRESS_MANAGED_BY, ADDRESS_MANAGER, DEFAULT_SERVICE_CIDR, claims as service_claims,
};
use self::token_secrets::TokenSecrets;

/// What plug-ins look things up in.
#[derive(Debug)]
struct Context {
    reader: Arc<dyn Reader>,
    authorizer: Arc<Authorizer>,
    decoded: Decoded,
    pod_security: pod_security::Settings,
}

/// The chain. Order and effect follow kube-apiserver's default plug-ins.
#[derive(Debug)]
pub struct Chain {
    context: Context,
    services: ServiceAllocator,
    token_secrets: TokenSecrets,
    quotas: Quotas,
}

impl Chain {
    /// The default chain, with what is configured of its plug-ins.
    pub fn new(
        config: &Config,
        reader: Arc<dyn Reader>,
        authorizer: Arc<Authorizer>,
    ) -> Result<Self, ConfigurationError> {
        let plugins = Plugins::read(config.admission_control_config_file.as_deref())?;
        let services = ServiceAllocator::new(config, reader.clone());
        let quotas = Quotas::new(reader.clone(), plugins.limited);
        let token_secrets = TokenSecrets::new(config, reader.clone());
        Ok(Self {
            context: Context {
                reader,
                authorizer,
                decoded: Decoded::default(),
                pod_security: plugins.pod_security,
            },
            services,
            token_secrets,
            quotas,
        })
    }

    /// Mutating phase. Returns warnings for the client. After `Ok` the caller must call [`Self::settle`] once.
    // None of the plug-ins waits for anything yet; webhooks will.
    #[allow(clippy::unused_async)]
    pub async fn mutate(&self, request: &mut Request<'_>) -> Result<Vec<String>, Status> {
        let context = &self.context;
        namespace_lifecycle::admit(context, request)?;
        limit_ranger::mutate(context, request)?;
        service_account::admit(context, request)?;
        node_restriction::admit(context, request)?;
        taint_nodes_by_condition::admit(request);
        priority::admit(context, request)?;
        default_toleration_seconds::admit(request);
        default_storage_class::admit(context, request);
        storage_object_in_use_protection::admit(request);
        runtime_class::admit(context, request)?;
        default_ingress_class::admit(context, request);
        self.token_secrets.admit(request)?;
        self.services.admit(request)?;
        certificates::mutate(request);
        Ok(Vec::new())
    }

    /// Validating phase, after defaulting and validation of the mutated object. Returns warnings for the client.
    // As above.
    #[allow(clippy::unused_async)]
    pub async fn validate(&self, request: &Request<'_>) -> Result<Vec<String>, Status> {
        let context = &self.context;
        limit_ranger::validate(context, request)?;
        let warnings = pod_security::validate(context, request)?;
        owner_references::validate(context, request)?;
        persistent_volume_claim_resize::validate(context, request)?;
        certificates::validate(context, request)?;
        policy_parameters::validate(context, request)?;
        if request.subresource.is_empty()
            && matches!(request.operation, Operation::Create | Operation::Update)
        {
            check_escalation(
                &context.authorizer,
                request.user,
                if request.kind.group == "rbac.authorization.k8s.io" {
                    &request.kind.plural
                } else {
                    ""
                },
                request.namespace,
                request.name,
                request.old,
                request.object(),
            )?;
        }
        // Last, so that nothing is counted that somebody else refuses.
        self.quotas.admit(request)?;
        Ok(warnings)
    }

    /// Whether writes of several servers must not come between this chain's decisions about a namespace and what is
    /// written then: it has quotas.
    pub fn has_quota(&self, namespace: &str) -> bool {
        self.quotas.has_any(namespace)
    }

    /// Whether this request is one of those: it uses more of something that is limited.
    pub fn is_limited(&self, request: &Request<'_>) -> bool {
        self.quotas.limits(request)
    }

    /// Checks a `TokenRequest` for the service account `namespace/name`; `kind` is the account's. There is nothing to
    /// settle, because nothing is stored.
    pub fn token(
        &self,
        user: &UserInfo,
        kind: &Kind,
        namespace: &str,
        name: &str,
        object: &mut Value,
    ) -> Result<(), Status> {
        let request = Request {
            user,
            operation: Operation::Create,
            kind,
            subresource: "token",
            namespace,
            name,
            old: None,
            object: Some(object),
            dry_run: false,
        };
        namespace_lifecycle::admit(&self.context, &request)?;
        node_restriction::admit(&self.context, &request)
    }

    /// A write that was admitted in `mutate` has been stored (`true`; `Reader` shows it by now) or has failed
    /// (`false`): what plug-ins had reserved for it (service addresses, node ports, quota) is kept or released. A
    /// caller that never comes back loses its reservations after a minute.
    pub fn settle(&self, request: &Request<'_>, stored: bool) {
        // Either way the reservation has done its work: what was stored is found through the Reader from now on.
        let _ = stored;
        self.services.settle(request);
        self.quotas.settle(request);
    }
}
