//! Kubernetes quantities as integers.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Thousandths of the quantity (`100m` is 100), rounded up; `None` if it does not parse.
pub fn milli(quantity: &Quantity) -> Option<i128> {
    quantity
        .0
        .parse::<keelson_api::quantity::Quantity>()
        .ok()
        .map(|q| q.millis().into())
}

/// The quantity in whole units, rounded up.
pub fn value(quantity: &Quantity) -> Option<i128> {
    quantity
        .0
        .parse::<keelson_api::quantity::Quantity>()
        .ok()
        .map(|q| q.value().into())
}
