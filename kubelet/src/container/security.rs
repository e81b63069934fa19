//! Users, capabilities and profiles from the security contexts; the container's wins over the pod's.
//!
//! Source: `pkg/securitycontext/util.go`, `pkg/kubelet/kuberuntime/security_context_others.go`.

use std::path::{Component, Path};

use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, SeccompProfile, SecurityContext};
use keelson_runtime::node::{Seccomp, User};

use super::ConfigError;

/// What the runtime is to enforce.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confinement {
    /// User and groups.
    pub user: User,
    /// Capabilities to add.
    pub cap_add: Vec<String>,
    /// Capabilities to drop.
    pub cap_drop: Vec<String>,
    /// Privileged.
    pub privileged: bool,
    /// `allowPrivilegeEscalation: false`.
    pub no_new_privileges: bool,
    /// `readOnlyRootFilesystem`.
    pub read_only_rootfs: bool,
    /// `procMount: Unmasked`.
    pub unmasked_proc: bool,
    /// Seccomp profile.
    pub seccomp: Seccomp,
}

/// Works it out. `image_user` is the image's USER; `profiles` is where Localhost profiles lie.
pub fn confinement(
    pod: &Pod,
    container: &Container,
    image_user: &str,
    profiles: &Path,
) -> Result<Confinement, ConfigError> {
    let pod_empty = PodSecurityContext::default();
    let of_pod = pod
        .spec
        .as_ref()
        .and_then(|s| s.security_context.as_ref())
        .unwrap_or(&pod_empty);
    let own_empty = SecurityContext::default();
    let own = container.security_context.as_ref().unwrap_or(&own_empty);
    let privileged = own.privileged.unwrap_or(false);
    let uid = id(own.run_as_user.or(of_pod.run_as_user), "runAsUser")?;
    let gid = id(own.run_as_group.or(of_pod.run_as_group), "runAsGroup")?;
    let must_be_non_root = own.run_as_non_root.or(of_pod.run_as_non_root).unwrap_or(false);
    if must_be_non_root {
        verify_non_root(pod, container, uid, image_user)?;
    }
    let groups = of_pod
        .supplemental_groups
        .iter()
        .flatten()
        .chain(&of_pod.fs_group);
    let capabilities = own.capabilities.clone().unwrap_or_default();
    let bare = |names: Option<Vec<String>>| -> Vec<String> {
        names
            .into_iter()
            .flatten()
            .map(|n| n.trim_start_matches("CAP_").to_uppercase())
            .collect()
    };
    let profile = own.seccomp_profile.as_ref().or(of_pod.seccomp_profile.as_ref());
    Ok(Confinement {
        user: User {
            image_user: image_user.to_owned(),
            uid,
            gid,
            additional_gids: groups
                .map(|gid| id(Some(*gid), "group").map(Option::unwrap_or_default))
                .collect::<Result<_, _>>()?,
            must_be_non_root,
        },
        cap_add: bare(capabilities.add),
        cap_drop: bare(capabilities.drop),
        privileged,
        no_new_privileges: own.allow_privilege_escalation == Some(false) && !privileged,
        read_only_rootfs: own.read_only_root_filesystem.unwrap_or(false),
        unmasked_proc: own.proc_mount.as_deref() == Some("Unmasked"),
        seccomp: if privileged {
            Seccomp::Unconfined
        } else {
            seccomp(profile, profiles)?
        },
    })
}

fn id(value: Option<i64>, what: &str) -> Result<Option<u32>, ConfigError> {
    value
        .map(|value| {
            u32::try_from(value)
                .ok()
                // The highest is the kernel's "no id".
                .filter(|id| *id != u32::MAX)
                .ok_or_else(|| ConfigError::Other(format!("{what} {value} is not a valid id")))
        })
        .transpose()
}

/// The image's user must be known not to be root before anything of it runs.
fn verify_non_root(
    pod: &Pod,
    container: &Container,
    uid: Option<u32>,
    image_user: &str,
) -> Result<(), ConfigError> {
    let whom = || {
        format!(
            "(pod: {:?}, container: {})",
            crate::event::pod_text(pod),
            container.name
        )
    };
    let user = image_user.split(':').next().unwrap_or_default();
    let problem = match uid {
        Some(0) => format!("container's runAsUser breaks non-root policy {}", whom()),
        Some(_) => return Ok(()),
        None => match user.parse::<u32>() {
            Ok(uid) if uid != 0 => return Ok(()),
            Err(_) if !user.is_empty() => format!(
                "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root {}",
                whom()
            ),
            _ => format!("container has runAsNonRoot and image will run as root {}", whom()),
        },
    };
    Err(ConfigError::Other(problem))
}

/// Without a profile the runtime's default applies, as upstream's `--seccomp-default` has it.
fn seccomp(profile: Option<&SeccompProfile>, profiles: &Path) -> Result<Seccomp, ConfigError> {
    let Some(profile) = profile else {
        return Ok(Seccomp::RuntimeDefault);
    };
    match profile.type_.as_str() {
        "Unconfined" => Ok(Seccomp::Unconfined),
        "Localhost" => {
            let name = Path::new(profile.localhost_profile.as_deref().unwrap_or_default());
            let inside = name.components().all(|c| matches!(c, Component::Normal(_)));
            if name.as_os_str().is_empty() || !inside {
                return Err(ConfigError::Other(
                    "localhostProfile must be a relative path without ..".into(),
                ));
            }
            Ok(Seccomp::Localhost(profiles.join(name)))
        }
        _ => Ok(Seccomp::RuntimeDefault),
    }
}
