//! The resources that controllers name, as plain data.

use super::encode::segment;

/// A resource in one version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resource {
    /// API group; empty for core.
    pub group: String,
    /// Version.
    pub version: String,
    /// Plural name.
    pub plural: String,
    /// Kind.
    pub kind: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    fn builtin(group: &str, version: &str, plural: &str, kind: &str, namespaced: bool) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            kind: kind.to_owned(),
            namespaced,
        }
    }

    /// `apps/v1`, or `v1` for core.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// URL path of the collection; of one namespace unless `namespace` is empty.
    pub fn path(&self, namespace: &str) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if namespace.is_empty() {
            format!("{root}/{}", self.plural)
        } else {
            format!("{root}/namespaces/{}/{}", segment(namespace), self.plural)
        }
    }

    /// URL path of one object.
    pub fn object_path(&self, namespace: &str, name: &str) -> String {
        format!("{}/{}", self.path(namespace), segment(name))
    }
}

/// What an event or an owner reference points at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// `apps/v1`.
    pub api_version: String,
    /// `ReplicaSet`.
    pub kind: String,
    /// Namespace or empty.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID; empty for events about something that has none.
    pub uid: String,
    /// Revision of the object when the event was made, or empty.
    pub resource_version: String,
}

macro_rules! table {
    ($($function:ident: $group:literal $version:literal $plural:literal $kind:literal $namespaced:literal;)*) => {
        /// Built-in resources, one function each, made once.
        pub mod all {
            use super::Resource;
            use std::sync::LazyLock;
            $(
                #[doc = concat!("`", $plural, "` of `", $group, "/", $version, "`.")]
                pub fn $function() -> &'static Resource {
                    static CELL: LazyLock<Resource> =
                        LazyLock::new(|| Resource::builtin($group, $version, $plural, $kind, $namespaced));
                    &CELL
                }
            )*
        }
    };
}

table! {
    pods: "" "v1" "pods" "Pod" true;
    nodes: "" "v1" "nodes" "Node" false;
    namespaces: "" "v1" "namespaces" "Namespace" false;
    services: "" "v1" "services" "Service" true;
    endpoints: "" "v1" "endpoints" "Endpoints" true;
    events: "" "v1" "events" "Event" true;
    config_maps: "" "v1" "configmaps" "ConfigMap" true;
    secrets: "" "v1" "secrets" "Secret" true;
    service_accounts: "" "v1" "serviceaccounts" "ServiceAccount" true;
    replication_controllers: "" "v1" "replicationcontrollers" "ReplicationController" true;
    persistent_volumes: "" "v1" "persistentvolumes" "PersistentVolume" false;
    persistent_volume_claims: "" "v1" "persistentvolumeclaims" "PersistentVolumeClaim" true;
    resource_quotas: "" "v1" "resourcequotas" "ResourceQuota" true;
    deployments: "apps" "v1" "deployments" "Deployment" true;
    replica_sets: "apps" "v1" "replicasets" "ReplicaSet" true;
    daemon_sets: "apps" "v1" "daemonsets" "DaemonSet" true;
    stateful_sets: "apps" "v1" "statefulsets" "StatefulSet" true;
    controller_revisions: "apps" "v1" "controllerrevisions" "ControllerRevision" true;
    jobs: "batch" "v1" "jobs" "Job" true;
    cron_jobs: "batch" "v1" "cronjobs" "CronJob" true;
    endpoint_slices: "discovery.k8s.io" "v1" "endpointslices" "EndpointSlice" true;
    leases: "coordination.k8s.io" "v1" "leases" "Lease" true;
    signing_requests: "certificates.k8s.io" "v1" "certificatesigningrequests" "CertificateSigningRequest" false;
    service_cidrs: "networking.k8s.io" "v1" "servicecidrs" "ServiceCIDR" false;
    ip_addresses: "networking.k8s.io" "v1" "ipaddresses" "IPAddress" false;
    pod_disruption_budgets: "policy" "v1" "poddisruptionbudgets" "PodDisruptionBudget" true;
    cluster_roles: "rbac.authorization.k8s.io" "v1" "clusterroles" "ClusterRole" false;
}

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn paths_follow_the_api_conventions() {
        assert_eq!(all::pods().path(""), "/api/v1/pods");
        assert_eq!(all::pods().object_path("a", "b"), "/api/v1/namespaces/a/pods/b");
        assert_eq!(all::deployments().api_version(), "apps/v1");
        assert_eq!(
            all::cluster_roles().object_path("", "system:node"),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node"
        );
    }
}
