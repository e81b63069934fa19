//! Certificates and keys of the cluster, and the kubeconfigs that use them.
