//! StorageObjectInUseProtection: claims and volumes do not go while they are used. Their finalizers are removed by
//! [`crate::controllers`]' protection.

use super::Request;
use super::fields::{list, map};

/// Finalizer of claims.
pub const CLAIM: &str = "kubernetes.io/pvc-protection";
/// Finalizer of volumes.
pub const VOLUME: &str = "kubernetes.io/pv-protection";

pub fn admit(request: &mut Request<'_>) {
    let finalizer = if request.creates("", "persistentvolumeclaims") {
        CLAIM
    } else if request.creates("", "persistentvolumes") {
        VOLUME
    } else {
        return;
    };
    let object = request.object.as_deref_mut();
    let finalizers = object
        .and_then(|object| map(object, "metadata"))
        .and_then(|metadata| list(metadata, "finalizers"));
    if let Some(finalizers) = finalizers
        && !finalizers.iter().any(|own| own == finalizer)
    {
        finalizers.push(finalizer.into());
    }
}
