//! What each signer signs (kubernetes.io, "Certificates and Certificate Signing Requests"), in upstream's words.

use crate::pki::Named;

/// Clients of the API server.
pub const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
/// Kubelets as clients of the API server.
pub const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Kubelets as servers.
pub const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";
/// Everything else, from before there were signers.
pub const LEGACY: &str = "kubernetes.io/legacy-unknown";

/// Whether a signer is one of ours.
pub fn is_ours(signer: &str) -> bool {
    [CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY].contains(&signer)
}

/// Whether one of our signers signs a request; an error says why not.
pub fn check(signer: &str, named: &Named, usages: &[&str]) -> Result<(), String> {
    match signer {
        CLIENT => client(usages),
        KUBELET_CLIENT => kubelet_client(named, usages),
        KUBELET_SERVING => kubelet_serving(named, usages),
        _ => Ok(()),
    }
}

fn client(usages: &[&str]) -> Result<(), String> {
    let allowed = ["client auth", "digital signature", "key encipherment"];
    if usages.contains(&"client auth") && usages.iter().all(|usage| allowed.contains(usage)) {
        Ok(())
    } else {
        Err(format!("usages did not match {allowed:?}"))
    }
}

/// Exactly these usages, and key encipherment or not.
fn exactly(usages: &[&str], wanted: [&str; 2]) -> Result<(), String> {
    let complete = wanted.iter().all(|usage| usages.contains(usage));
    let fits = |usage: &&str| wanted.contains(usage) || *usage == "key encipherment";
    if complete && usages.iter().all(fits) {
        Ok(())
    } else {
        Err(format!("usages did not match {wanted:?}"))
    }
}

/// The name of a node in the group of nodes.
fn is_node(named: &Named) -> Result<(), String> {
    if named.organizations != ["system:nodes"] {
        return Err("subject organization is not system:nodes".to_owned());
    }
    if !named.common_name.starts_with("system:node:") {
        return Err("subject common name does not begin with system:node:".to_owned());
    }
    Ok(())
}

/// What kubelets ask for as clients.
pub fn kubelet_client(named: &Named, usages: &[&str]) -> Result<(), String> {
    is_node(named)?;
    if named.hosts > 0 {
        return Err("DNS or IP subjectAltNames are not allowed".to_owned());
    }
    no_others(named)?;
    exactly(usages, ["digital signature", "client auth"])
}

fn kubelet_serving(named: &Named, usages: &[&str]) -> Result<(), String> {
    is_node(named)?;
    if named.hosts == 0 {
        return Err("DNS or IP subjectAltName is required".to_owned());
    }
    no_others(named)?;
    exactly(usages, ["digital signature", "server auth"])
}

fn no_others(named: &Named) -> Result<(), String> {
    if named.mails > 0 {
        return Err("Email subjectAltNames are not allowed".to_owned());
    }
    if named.uris > 0 {
        return Err("URI subjectAltNames are not allowed".to_owned());
    }
    Ok(())
}
