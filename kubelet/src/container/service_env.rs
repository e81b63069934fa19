//! Service variables (`X_SERVICE_HOST` and the docker-link form).
//!
//! Source: `pkg/kubelet/envvars/envvars.go`.

use std::collections::BTreeMap;

/// A Service as far as variables need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Cluster address; services without one give no variables.
    pub cluster_ip: String,
    /// Port name, protocol, number.
    pub ports: Vec<(String, String, i32)>,
}

/// The variables for a pod of `namespace`: its own services if `links`, and always the API server's.
pub fn service_variables<'a>(
    services: impl Iterator<Item = &'a ServiceFacts>,
    namespace: &str,
    links: bool,
) -> BTreeMap<String, String> {
    let mut vars = BTreeMap::new();
    let mut own = Vec::new();
    for service in services {
        let master = service.namespace == "default" && service.name == "kubernetes";
        if links && service.namespace == namespace {
            own.push(service);
        } else if master {
            add(service, &mut vars);
        }
    }
    // A service of the same name in the pod's own namespace wins over the master's.
    for service in own {
        add(service, &mut vars);
    }
    vars
}

fn add(service: &ServiceFacts, vars: &mut BTreeMap<String, String>) {
    if service.cluster_ip.is_empty() || service.cluster_ip == "None" {
        return;
    }
    let Some((_, first_protocol, first_port)) = service.ports.first() else {
        return;
    };
    let name = service.name.to_uppercase().replace('-', "_");
    let ip = &service.cluster_ip;
    let host = if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.clone()
    };
    vars.insert(format!("{name}_SERVICE_HOST"), ip.clone());
    vars.insert(format!("{name}_SERVICE_PORT"), first_port.to_string());
    vars.insert(
        format!("{name}_PORT"),
        format!("{}://{host}:{first_port}", first_protocol.to_lowercase()),
    );
    for (port_name, protocol, port) in &service.ports {
        if !port_name.is_empty() {
            let port_name = port_name.to_uppercase().replace('-', "_");
            vars.insert(format!("{name}_SERVICE_PORT_{port_name}"), port.to_string());
        }
        let prefix = format!("{name}_PORT_{port}_{}", protocol.to_uppercase());
        let lower = protocol.to_lowercase();
        vars.insert(prefix.clone(), format!("{lower}://{host}:{port}"));
        vars.insert(format!("{prefix}_PROTO"), lower);
        vars.insert(format!("{prefix}_PORT"), port.to_string());
        vars.insert(format!("{prefix}_ADDR"), ip.clone());
    }
}
