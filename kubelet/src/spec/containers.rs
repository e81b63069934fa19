//! The containers of a pod, whatever list they stand in.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, PodSpec};

/// What part a container plays in its pod's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs to completion, in order, before the main containers.
    Init,
    /// A restartable init container: started in order, then runs as long as the pod.
    Sidecar,
    /// One of `spec.containers`.
    Main,
    /// Added to a running pod for debugging; never restarted and without influence on the pod's phase.
    Ephemeral,
}

/// All containers in the order init and sidecar, main, ephemeral.
pub fn containers(spec: &PodSpec) -> impl Iterator<Item = (Role, Cow<'_, Container>)> {
    let init = spec.init_containers.iter().flatten().map(|c| {
        let role = if c.restart_policy.as_deref() == Some("Always") {
            Role::Sidecar
        } else {
            Role::Init
        };
        (role, Cow::Borrowed(c))
    });
    let main = spec.containers.iter().map(|c| (Role::Main, Cow::Borrowed(c)));
    let ephemeral = spec
        .ephemeral_containers
        .iter()
        .flatten()
        .map(|c| (Role::Ephemeral, Cow::Owned(as_container(c))));
    init.chain(main).chain(ephemeral)
}

/// The container of that name.
pub fn find<'a>(spec: &'a PodSpec, name: &str) -> Option<(Role, Cow<'a, Container>)> {
    containers(spec).find(|(_, container)| container.name == name)
}

/// `spec.restartPolicy` with its default.
pub fn restart_policy(spec: &PodSpec) -> &str {
    spec.restart_policy.as_deref().unwrap_or("Always")
}

fn as_container(ephemeral: &EphemeralContainer) -> Container {
    let e = ephemeral.clone();
    Container {
        args: e.args,
        command: e.command,
        env: e.env,
        env_from: e.env_from,
        image: e.image,
        image_pull_policy: e.image_pull_policy,
        name: e.name,
        security_context: e.security_context,
        stdin: e.stdin,
        stdin_once: e.stdin_once,
        termination_message_path: e.termination_message_path,
        termination_message_policy: e.termination_message_policy,
        tty: e.tty,
        volume_mounts: e.volume_mounts,
        working_dir: e.working_dir,
        // The API refuses ports, probes, lifecycle and resources of ephemeral containers.
        ..Container::default()
    }
}
