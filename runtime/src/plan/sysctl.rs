//! Kernel parameters of a sandbox.

use super::PlanError;
#[cfg(feature = "node")]
use crate::node::SandboxSpec;

/// The files below `/proc/sys` to write for a sandbox: containerd's defaults, then the pod's. Only parameters of a
/// namespace that the pod owns are accepted: any other would change the host.
#[cfg(feature = "node")]
pub fn sandbox_sysctls(spec: &SandboxSpec) -> Result<Vec<(String, String)>, PlanError> {
    let mut all = Vec::new();
    if !spec.host_network {
        // Ports below 1024 and ICMP echo sockets without privileges: the network namespace is the pod's own.
        all.push(("net/ipv4/ip_unprivileged_port_start".to_owned(), "0".to_owned()));
        all.push(("net/ipv4/ping_group_range".to_owned(), "0 2147483647".to_owned()));
    }
    for (name, value) in &spec.sysctls {
        let file = file(name)?;
        let owned =
            (file.starts_with("net/") && !spec.host_network) || (is_ipc_sysctl(&file) && !spec.host_ipc);
        if !owned {
            return Err(PlanError(format!(
                "sysctl {name:?} is not of a namespace that this pod owns"
            )));
        }
        all.retain(|(known, _)| *known != file);
        all.push((file, value.clone()));
    }
    Ok(all)
}

/// Whether a parameter belongs to the IPC namespace.
pub fn is_ipc_sysctl(file: &str) -> bool {
    const NAMES: [&str; 11] = [
        "kernel/msgmax",
        "kernel/msgmnb",
        "kernel/msgmni",
        "kernel/msg_next_id",
        "kernel/sem",
        "kernel/sem_next_id",
        "kernel/shm_next_id",
        "kernel/shmall",
        "kernel/shmmax",
        "kernel/shmmni",
        "kernel/shm_rmid_forced",
    ];
    NAMES.contains(&file) || file.starts_with("fs/mqueue/")
}

/// A parameter's name as a relative path. Dots separate, unless slashes do (then dots may be part of a name, as in
/// interface names).
pub(super) fn file(name: &str) -> Result<String, PlanError> {
    let separators = name.bytes().find(|b| *b == b'.' || *b == b'/');
    let file = if separators == Some(b'/') {
        name.to_owned()
    } else {
        name.replace(['.', '/'], "/")
    };
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.@:".contains(&b))
    };
    if file.split('/').all(plain) {
        Ok(file)
    } else {
        Err(PlanError(format!("invalid sysctl name {name:?}")))
    }
}

#[cfg(all(test, feature = "node"))]
mod tests {
    use super::*;
    use crate::node::{QosClass, Resources};

    fn sandbox(sysctls: &[(&str, &str)]) -> SandboxSpec {
        SandboxSpec {
            id: "x".into(),
            namespace: "d".into(),
            name: "p".into(),
            hostname: "p".into(),
            host_network: false,
            host_pid: false,
            host_ipc: false,
            share_pid: false,
            sysctls: sysctls
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            qos: QosClass::BestEffort,
            resources: Resources::default(),
        }
    }

    #[test]
    fn accepts_only_what_the_pod_owns() {
        for good in [
            "net.core.somaxconn",
            "kernel.shm_rmid_forced",
            "kernel.sem",
            "fs.mqueue.msg_max",
            "net/ipv4/conf/eth0.1/x",
        ] {
            assert!(sandbox_sysctls(&sandbox(&[(good, "1")])).is_ok(), "{good}");
        }
        for bad in [
            "kernel.panic",
            "vm.swappiness",
            "net/../kernel/panic",
            "net..x",
            "",
            "kernel.core_pattern",
            "../x",
            "net/ipv4/../../kernel/core_pattern",
            "net.ipv4.x\0",
            "kernel.semx",
        ] {
            assert!(sandbox_sysctls(&sandbox(&[(bad, "1")])).is_err(), "{bad}");
        }
        let host = SandboxSpec {
            host_network: true,
            ..sandbox(&[("net.core.somaxconn", "1")])
        };
        assert!(sandbox_sysctls(&host).is_err());
    }

    #[test]
    fn the_pods_value_replaces_the_default() {
        let all = sandbox_sysctls(&sandbox(&[("net.ipv4.ip_unprivileged_port_start", "80")])).unwrap();
        assert_eq!(all.iter().filter(|(k, _)| k.ends_with("port_start")).count(), 1);
    }
}
