//! The resources that authorization and admission look up, made once.

use std::sync::LazyLock;

use crate::object::GroupResource;

macro_rules! resources {
    ($($name:ident = $group:literal, $resource:literal;)*) => {
        $(pub(crate) static $name: LazyLock<GroupResource> =
            LazyLock::new(|| GroupResource::new($group, $resource));)*
    };
}

resources! {
    NAMESPACES = "", "namespaces";
    NODES = "", "nodes";
    PODS = "", "pods";
    SECRETS = "", "secrets";
    SERVICES = "", "services";
    SERVICE_CIDRS = "networking.k8s.io", "servicecidrs";
    IP_ADDRESSES = "networking.k8s.io", "ipaddresses";
    SERVICE_ACCOUNTS = "", "serviceaccounts";
    PERSISTENT_VOLUMES = "", "persistentvolumes";
    PERSISTENT_VOLUME_CLAIMS = "", "persistentvolumeclaims";
    VOLUME_ATTACHMENTS = "storage.k8s.io", "volumeattachments";
    CSI_DRIVERS = "storage.k8s.io", "csidrivers";
    LIMIT_RANGES = "", "limitranges";
    RESOURCE_QUOTAS = "", "resourcequotas";
    PRIORITY_CLASSES = "scheduling.k8s.io", "priorityclasses";
    RUNTIME_CLASSES = "node.k8s.io", "runtimeclasses";
    INGRESS_CLASSES = "networking.k8s.io", "ingressclasses";
    STORAGE_CLASSES = "storage.k8s.io", "storageclasses";
    CLUSTER_ROLES = "rbac.authorization.k8s.io", "clusterroles";
    CLUSTER_ROLE_BINDINGS = "rbac.authorization.k8s.io", "clusterrolebindings";
    ROLES = "rbac.authorization.k8s.io", "roles";
    ROLE_BINDINGS = "rbac.authorization.k8s.io", "rolebindings";
    CUSTOM_RESOURCE_DEFINITIONS = "apiextensions.k8s.io", "customresourcedefinitions";
    VALIDATING_ADMISSION_POLICIES = "admissionregistration.k8s.io", "validatingadmissionpolicies";
}
