//! Upstream's default roles for users and components (`bootstrappolicy/policy.go`, version 1.33).

use super::Role;

/// ClusterRoles.
pub const ROLES: &[Role] = &[
    ("cluster-admin", "", "
        * * *
        * *"),
    ("system:aggregate-to-admin", "admin", "
        create authorization.k8s.io localsubjectaccessreviews
        read,write rbac.authorization.k8s.io rolebindings,roles"),
    ("system:aggregate-to-edit", "edit", "
        read core pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy
        impersonate core serviceaccounts
        write core pods,pods/attach,pods/exec,pods/portforward,pods/proxy
        create core pods/eviction
        write core configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale
        write core secrets,serviceaccounts,services,services/proxy
        create core serviceaccounts/token
        write apps daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale
        write apps statefulsets,statefulsets/scale
        write autoscaling horizontalpodautoscalers
        write batch cronjobs,jobs
        write extensions daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies
        write extensions replicasets,replicasets/scale,replicationcontrollers/scale
        write policy poddisruptionbudgets
        write networking.k8s.io ingresses,networkpolicies
        read,write coordination.k8s.io leases"),
    ("system:aggregate-to-view", "view", "
        read core configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods
        read core replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status
        read core bindings,events,limitranges,namespaces/status,pods/log,pods/status
        read core replicationcontrollers/status,resourcequotas,resourcequotas/status
        read core namespaces
        read discovery.k8s.io endpointslices
        read apps controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status
        read apps replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status
        read autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status
        read batch cronjobs,cronjobs/status,jobs,jobs/status
        read extensions daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status
        read extensions ingresses,ingresses/status,networkpolicies,replicasets,replicasets/scale,replicasets/status
        read extensions replicationcontrollers/scale
        read policy poddisruptionbudgets,poddisruptionbudgets/status
        read networking.k8s.io ingresses,ingresses/status,networkpolicies"),
    ("system:auth-delegator", "", "
        create authentication.k8s.io tokenreviews
        create authorization.k8s.io subjectaccessreviews"),
    ("system:basic-user", "", "
        create authorization.k8s.io selfsubjectaccessreviews,selfsubjectrulesreviews
        create authentication.k8s.io selfsubjectreviews"),
    ("system:certificates.k8s.io:certificatesigningrequests:nodeclient", "", "
        create certificates.k8s.io certificatesigningrequests/nodeclient"),
    ("system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", "", "
        create certificates.k8s.io certificatesigningrequests/selfnodeclient"),
    ("system:certificates.k8s.io:kube-apiserver-client-approver", "", "
        approve certificates.k8s.io signers =kubernetes.io/kube-apiserver-client"),
    ("system:certificates.k8s.io:kube-apiserver-client-kubelet-approver", "", "
        approve certificates.k8s.io signers =kubernetes.io/kube-apiserver-client-kubelet"),
    ("system:certificates.k8s.io:kubelet-serving-approver", "", "
        approve certificates.k8s.io signers =kubernetes.io/kubelet-serving"),
    ("system:certificates.k8s.io:legacy-unknown-approver", "", "
        approve certificates.k8s.io signers =kubernetes.io/legacy-unknown"),
    ("system:discovery", "", "
        get /api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/"),
    ("system:heapster", "", "
        read core events,namespaces,nodes,pods
        read extensions deployments"),
    ("system:kube-aggregator", "", "
        read core endpoints,services"),
    ("system:kube-controller-manager", "", "
        @events
        create coordination.k8s.io leases
        get,update coordination.k8s.io leases =kube-controller-manager
        create core secrets,serviceaccounts
        delete core secrets
        get core configmaps,namespaces,secrets,serviceaccounts
        update core secrets,serviceaccounts
        create authentication.k8s.io tokenreviews
        create authorization.k8s.io subjectaccessreviews
        list,watch * *
        create core serviceaccounts/token"),
    ("system:kube-dns", "", "
        list,watch core endpoints,services"),
    ("system:kube-scheduler", "", "
        @events
        create coordination.k8s.io leases
        get,update coordination.k8s.io leases =kube-scheduler
        read core nodes
        delete,read core pods
        create core bindings,pods/binding
        patch,update core pods/status
        read core replicationcontrollers,services
        read apps,extensions replicasets
        read apps statefulsets
        read policy poddisruptionbudgets
        read core persistentvolumeclaims,persistentvolumes
        create authentication.k8s.io tokenreviews
        create authorization.k8s.io subjectaccessreviews
        read storage.k8s.io csinodes
        read core namespaces
        read storage.k8s.io csidrivers
        read storage.k8s.io csistoragecapacities"),
    ("system:kubelet-api-admin", "", "
        read core nodes
        proxy core nodes
        * core nodes/log,nodes/metrics,nodes/proxy,nodes/stats
        * core nodes/configz,nodes/healthz,nodes/pods"),
    ("system:monitoring", "", "
        get /healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*"),
    ("system:node", "", "
        create authentication.k8s.io tokenreviews
        create authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews
        read core services
        create,read core nodes
        patch,update core nodes/status
        patch,update core nodes
        create,patch,update core events
        read core pods
        create,delete core pods
        patch,update core pods/status
        create core pods/eviction
        read core configmaps,secrets
        get core persistentvolumeclaims,persistentvolumes
        get core endpoints
        create,read certificates.k8s.io certificatesigningrequests
        create,delete,get,patch,update coordination.k8s.io leases
        get storage.k8s.io volumeattachments
        create core serviceaccounts/token
        get,patch,update core persistentvolumeclaims/status
        read storage.k8s.io csidrivers
        create,delete,get,patch,update storage.k8s.io csinodes
        read node.k8s.io runtimeclasses"),
    ("system:node-bootstrapper", "", "
        create,read certificates.k8s.io certificatesigningrequests"),
    ("system:node-problem-detector", "", "
        get core nodes
        patch core nodes/status
        @events"),
    ("system:node-proxier", "", "
        list,watch core endpoints,services
        read core nodes
        @events
        list,watch discovery.k8s.io endpointslices
        list,watch networking.k8s.io servicecidrs"),
    ("system:persistent-volume-provisioner", "", "
        create,delete,read core persistentvolumes
        read,update core persistentvolumeclaims
        read storage.k8s.io storageclasses
        watch core events
        @events"),
    ("system:public-info-viewer", "", "
        get /healthz,/livez,/readyz,/version,/version/"),
    ("system:service-account-issuer-discovery", "", "
        get /.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/"),
    ("system:volume-scheduler", "", "
        patch,read,update core persistentvolumes
        read storage.k8s.io storageclasses
        patch,read,update core persistentvolumeclaims"),
];

/// ClusterRoles made of others: name, the aggregating roles that pick it up, and what it picks up itself.
pub const AGGREGATING: &[Role] = &[
    ("admin", "", "admin"),
    ("edit", "admin", "edit"),
    ("view", "edit", "view"),
];

/// ClusterRoleBindings: they are named as their role.
pub const BINDINGS: &[(&str, &str)] = &[
    ("cluster-admin", "group:system:masters"),
    ("system:basic-user", "group:system:authenticated"),
    ("system:discovery", "group:system:authenticated"),
    (
        "system:kube-controller-manager",
        "user:system:kube-controller-manager",
    ),
    ("system:kube-dns", "sa:kube-system/kube-dns"),
    ("system:kube-scheduler", "user:system:kube-scheduler"),
    // Whom the API server is to kubelets; not among upstream's, where kubeadm makes the certificate an administrator's.
    ("system:kubelet-api-admin", "user:kube-apiserver-kubelet-client"),
    ("system:monitoring", "group:system:monitoring"),
    // Kubelets get these rights from the node authorizer instead.
    ("system:node", ""),
    ("system:node-proxier", "user:system:kube-proxy"),
    (
        "system:public-info-viewer",
        "group:system:authenticated group:system:unauthenticated",
    ),
    (
        "system:service-account-issuer-discovery",
        "group:system:serviceaccounts",
    ),
    ("system:volume-scheduler", "user:system:kube-scheduler"),
];

/// Roles: namespace, name, rules.
pub const NAMESPACED: &[Role] = &[
    (
        "kube-public",
        "system:controller:bootstrap-signer",
        "
        read core configmaps
        update core configmaps =cluster-info
        @events",
    ),
    (
        "kube-system",
        "extension-apiserver-authentication-reader",
        "
        read core configmaps =extension-apiserver-authentication",
    ),
    (
        "kube-system",
        "system::leader-locking-kube-controller-manager",
        LEADER,
    ),
    ("kube-system", "system::leader-locking-kube-scheduler", LEADER),
    (
        "kube-system",
        "system:controller:bootstrap-signer",
        "
        read core secrets",
    ),
    (
        "kube-system",
        "system:controller:cloud-provider",
        "
        create,read core configmaps",
    ),
    (
        "kube-system",
        "system:controller:token-cleaner",
        "
        delete,read core secrets
        @events",
    ),
];

const LEADER: &str = "
        create,read,update coordination.k8s.io leases
        create,read,update coordination.k8s.io leasecandidates";

/// RoleBindings: namespace, name, role, subjects.
pub const NAMESPACED_BINDINGS: &[(&str, &str, &str, &str)] = &[
    (
        "kube-public",
        "system:controller:bootstrap-signer",
        "system:controller:bootstrap-signer",
        "sa:kube-system/bootstrap-signer",
    ),
    (
        "kube-system",
        "system::extension-apiserver-authentication-reader",
        "extension-apiserver-authentication-reader",
        "user:system:kube-controller-manager user:system:kube-scheduler",
    ),
    (
        "kube-system",
        "system::leader-locking-kube-controller-manager",
        "system::leader-locking-kube-controller-manager",
        "user:system:kube-controller-manager sa:kube-system/kube-controller-manager \
         sa:kube-system/leader-election-controller",
    ),
    (
        "kube-system",
        "system::leader-locking-kube-scheduler",
        "system::leader-locking-kube-scheduler",
        "user:system:kube-scheduler sa:kube-system/kube-scheduler",
    ),
    (
        "kube-system",
        "system:controller:bootstrap-signer",
        "system:controller:bootstrap-signer",
        "sa:kube-system/bootstrap-signer",
    ),
    (
        "kube-system",
        "system:controller:cloud-provider",
        "system:controller:cloud-provider",
        "sa:kube-system/cloud-provider",
    ),
    (
        "kube-system",
        "system:controller:token-cleaner",
        "system:controller:token-cleaner",
        "sa:kube-system/token-cleaner",
    ),
];
