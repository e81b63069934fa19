//! The reconcilers, each over a `kube::Client`.
