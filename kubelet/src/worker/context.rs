//! What all workers share.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;
use keelson_runtime::image::ImageStore;
use keelson_runtime::node::NodeRuntime;

use crate::Config;
use crate::cache::{ObjectCache, ServiceCache};
use crate::event::Recorder;
use crate::node::NodeHandle;
use crate::registry::Registry;
use crate::worker::Turns;

/// Handles on everything a worker needs.
pub struct Context {
    /// Configuration.
    pub config: Config,
    /// API.
    pub client: kube::Client,
    /// Runtime.
    pub runtime: NodeRuntime,
    /// Images.
    pub images: ImageStore,
    /// Whose turn it is to pull one.
    pub pulls: Turns,
    /// Network.
    pub netd: keelson_netd::client::Client,
    /// Events.
    pub events: Recorder,
    /// ConfigMaps and Secrets.
    pub objects: ObjectCache,
    /// Services.
    pub services: ServiceCache,
    /// The node.
    pub node: NodeHandle,
    /// What is known of all pods here.
    pub registry: Registry,
}

impl Context {
    /// Directory of a pod's logs.
    pub fn log_dir(&self, pod: &Pod) -> PathBuf {
        log_dir(&self.config, pod)
    }
}

/// `log_dir/NS_NAME_UID`, as `/var/log/pods` is laid out.
pub fn log_dir(config: &Config, pod: &Pod) -> PathBuf {
    let meta = &pod.metadata;
    config.log_dir.join(format!(
        "{}_{}_{}",
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or_default(),
        meta.uid.as_deref().unwrap_or_default()
    ))
}
