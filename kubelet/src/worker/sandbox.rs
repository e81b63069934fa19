//! Making a sandbox: namespaces, then the network.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use keelson_netd::client::{AttachRequest, HostPort};
use keelson_runtime::node::SandboxSpec;

use super::message::Done;
use super::{Context, Worker};
use crate::container::fields::Surroundings;
use crate::container::hosts::kernel_hostname;
use crate::event::Kind;
use crate::pod::plan::start_over;
use crate::pod::state::Sandbox;
use crate::spec::{containers, pod_resources, qos_class};

/// How long netd is given to connect or disconnect a pod.
pub(super) const NETD: Duration = Duration::from_secs(30);

impl Worker {
    pub(super) fn create_sandbox(&self) {
        let report = self.reporter();
        let (pod, context, stale) = (self.pod.clone(), self.context.clone(), self.stale_sandbox);
        tokio::spawn(async move { report(Done::Sandbox(create(&context, &pod, stale).await)) });
    }

    /// The sandbox's shim has ended, and with it everything in it (somebody killed it, or the kernel did for want of memory).
    /// As upstream does with a sandbox that has changed, it is removed and made anew, once all containers' ends are known.
    pub(super) fn lose_sandbox(&mut self) {
        if !matches!(self.state.sandbox, Sandbox::Ready { .. }) {
            return;
        }
        self.state.sandbox = Sandbox::Absent;
        self.stale_sandbox = true;
        for record in self.state.containers.values().filter(|r| r.running()) {
            if let Some(instance) = &record.current {
                self.query_exit(instance.id.clone());
            }
        }
    }

    /// Before a stale sandbox is replaced.
    pub(super) fn start_over(&mut self) {
        let message = "Pod sandbox changed, it will be killed and re-created.";
        self.event(None, Kind::Normal, "SandboxChanged", message);
        let names = self.pod.spec.as_ref().map(|spec| start_over(spec, &self.state));
        for name in names.unwrap_or_default() {
            self.retire(&name);
        }
    }

    /// What the downward API shows besides the pod object.
    pub(super) fn surroundings(&self) -> Surroundings {
        let host_ips = self.context.node.ips.to_vec();
        let pod_ips = match &self.state.sandbox {
            Sandbox::Ready { ips } => ips.clone(),
            _ => Vec::new(),
        };
        Surroundings {
            host_ips,
            pod_ips,
            allocatable: self.context.node.capacity().allocatable,
        }
    }
}

async fn create(context: &Arc<Context>, pod: &Pod, stale: bool) -> Result<Vec<IpAddr>, String> {
    let spec = sandbox_spec(pod, &context.config.cluster_domain)?;
    let (id, host_network) = (spec.id.clone(), spec.host_network);
    let runtime = context.runtime.clone();
    let state = tokio::task::spawn_blocking(move || {
        if stale {
            runtime.remove_sandbox(&spec.id)?;
        }
        runtime.create_sandbox(&spec)
    })
    .await
    .map_err(|error| error.to_string())?
    .map_err(|error| error.to_string())?;
    let ips = match (host_network, state.netns) {
        (false, Some(netns)) => {
            let request = AttachRequest {
                pod_uid: id.clone(),
                namespace: pod.metadata.namespace.clone().unwrap_or_default(),
                name: pod.metadata.name.clone().unwrap_or_default(),
                netns,
                host_ports: pod.spec.as_ref().map(host_ports).unwrap_or_default(),
            };
            let attached = tokio::time::timeout(NETD, context.netd.attach(&request)).await;
            attached
                .map_err(|_| "netd does not answer".to_owned())?
                .map_err(|error| error.to_string())?
                .ips
        }
        _ => context.node.ips.to_vec(),
    };
    let (runtime, recorded) = (context.runtime.clone(), ips.clone());
    tokio::task::spawn_blocking(move || runtime.set_sandbox_ips(&id, &recorded))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    Ok(ips)
}

fn sandbox_spec(pod: &Pod, cluster_domain: &str) -> Result<SandboxSpec, String> {
    let spec = pod.spec.as_ref().ok_or("the pod has no spec")?;
    let hostname = kernel_hostname(pod, cluster_domain).map_err(|error| error.to_string())?;
    let sysctls: BTreeMap<_, _> = spec
        .security_context
        .iter()
        .flat_map(|s| s.sysctls.iter().flatten())
        .map(|sysctl| (sysctl.name.clone(), sysctl.value.clone()))
        .collect();
    Ok(SandboxSpec {
        id: pod.metadata.uid.clone().unwrap_or_default(),
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        name: pod.metadata.name.clone().unwrap_or_default(),
        hostname,
        host_network: spec.host_network.unwrap_or(false),
        host_pid: spec.host_pid.unwrap_or(false),
        host_ipc: spec.host_ipc.unwrap_or(false),
        share_pid: spec.share_process_namespace.unwrap_or(false),
        sysctls,
        qos: qos_class(spec),
        resources: pod_resources(spec),
    })
}

/// Ports published on the node.
fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let mut found = Vec::new();
    for (_, container) in containers(spec) {
        for port in container.ports.iter().flatten() {
            let number = |n: i32| u16::try_from(n).ok().filter(|n| *n > 0);
            let (Some(host_port), Some(container_port)) =
                (port.host_port.and_then(number), number(port.container_port))
            else {
                continue;
            };
            found.push(HostPort {
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".into()),
                host_port,
                container_port,
                host_ip: port.host_ip.as_ref().and_then(|ip| ip.parse().ok()),
            });
        }
    }
    found
}
