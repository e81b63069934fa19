//! What a worker is told.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use keelson_runtime::node::ContainerState;

use super::image::ImageFailure;
use super::start::StartFailure;
use crate::container::spec::ImageFacts;
use crate::probe::Outcome;
use crate::volume::Mounted;

/// One observation.
pub enum Message {
    /// The API has a new version of the pod.
    Pod(Arc<Pod>),
    /// The API no longer has the pod.
    Gone,
    /// A container has ended; its termination message.
    Exited(Box<ContainerState>, Option<String>),
    /// A ConfigMap or Secret that the pod refers to has changed.
    ObjectsChanged,
    /// A probe's verdict has changed.
    Probe(Outcome),
    /// Something this worker began has ended.
    Done(Done),
}

/// The end of something begun.
pub enum Done {
    /// Namespaces and network.
    Sandbox(Result<Vec<IpAddr>, String>),
    /// Volumes: first mount, or (`refresh`) new content.
    Volumes {
        refresh: bool,
        result: Result<Mounted, (String, String)>,
    },
    /// Image.
    Image {
        container: String,
        result: Box<Result<ImageFacts, ImageFailure>>,
    },
    /// A pull has been failing for a moment.
    PullBackoff { container: String },
    /// Container.
    Start {
        container: String,
        attempt: u32,
        result: Box<Result<ContainerState, StartFailure>>,
    },
    /// postStart hook.
    PostStart {
        container: String,
        id: String,
        result: Result<(), String>,
    },
    /// preStop hook.
    PreStop {
        container: String,
        id: String,
        result: Result<(), String>,
    },
    /// SIGKILL could not be sent, or has not ended the container.
    NotKilled {
        container: String,
        id: String,
        error: String,
    },
    /// Everything is removed.
    Teardown(Result<(), String>),
    /// The API has accepted the DELETE.
    Deleted(Result<(), String>),
    /// The API has answered a status.
    Status(super::publish::Answer),
}
