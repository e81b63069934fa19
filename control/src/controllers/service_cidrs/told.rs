//! What is told about ServiceCIDRs in events. Upstream has two controllers for them: one for the range that is configured, which
//! its API server runs, and one for all.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use crate::controllers::Context;
use crate::controllers::api::{Api, EventType, Recorder, Reference, resources};
use crate::controllers::model::ServiceCidr;

/// Reason of what goes wrong with the configured range.
const DEFAULT_ERROR: &str = "KubernetesDefaultServiceCIDRError";

/// Records it.
#[derive(Debug)]
pub(super) struct Told {
    all: Recorder,
    configured: Recorder,
    /// Once is enough for what stays as it is until somebody does something about it.
    inconsistent: AtomicBool,
}

impl Told {
    /// As the controller of all, and as the API server.
    pub(super) fn new(all: &Api, server: &Api, tasks: &mut JoinSet<()>) -> Self {
        Self {
            all: Context::recorder(all, "service-cidr-controller", tasks),
            configured: Context::recorder(server, "kubernetes-service-cidr-controller", tasks),
            inconsistent: AtomicBool::new(false),
        }
    }

    /// That it gives addresses could not be written.
    pub(super) fn not_ready(&self, cidr: &ServiceCidr) {
        let message = "The ServiceCIDR Status can not be set to Ready=True";
        warn(&self.all, &about(cidr), "KubernetesServiceCIDRError", message);
    }

    /// The configured one could not be made.
    pub(super) fn not_created(&self, name: &str) {
        let resource = resources::service_cidrs();
        let regarding = Reference {
            api_version: resource.api_version(),
            kind: resource.kind.clone(),
            namespace: String::new(),
            name: name.to_owned(),
            uid: String::new(),
            resource_version: String::new(),
        };
        let message = "The default ServiceCIDR can not be created";
        warn(&self.configured, &regarding, DEFAULT_ERROR, message);
    }

    /// The configured one could not get its second family.
    pub(super) fn not_upgraded(&self, cidr: &ServiceCidr, configured: &[String], why: &str) {
        let first = cidr.spec.cidrs.first().map_or("", String::as_str);
        let message = format!(
            "The default ServiceCIDR can not be upgraded from {first} to dual stack {} : {why}",
            list(configured)
        );
        warn(&self.configured, &about(cidr), DEFAULT_ERROR, &message);
    }

    /// The configured one is not what the configuration says by now; that is for an administrator to decide.
    pub(super) fn inconsistent(&self, cidr: &ServiceCidr, configured: &[String]) {
        if self.inconsistent.swap(true, Ordering::Relaxed) {
            return;
        }
        let message = format!(
            "The default ServiceCIDR {} does not match the controller flag configurations {}",
            list(&cidr.spec.cidrs),
            list(configured)
        );
        let reason = "KubernetesDefaultServiceCIDRInconsistent";
        warn(&self.configured, &about(cidr), reason, &message);
    }
}

fn about(cidr: &ServiceCidr) -> Reference {
    cidr.metadata.reference(resources::service_cidrs())
}

fn warn(recorder: &Recorder, regarding: &Reference, reason: &str, message: &str) {
    recorder.record(regarding, EventType::Warning, reason, message);
}

/// As Go shows lists.
fn list(cidrs: &[String]) -> String {
    format!("[{}]", cidrs.join(" "))
}
