//! ServiceCIDRs as ranges, and IPAddresses of others.

use super::*;
use crate::auth::resources::{IP_ADDRESSES, SERVICE_CIDRS};

fn cidr(name: &str, cidrs: &Value, ready: Option<&str>) -> Value {
    let conditions: Vec<Value> = ready
        .iter()
        .map(|status| json!({"type": "Ready", "status": status}))
        .collect();
    json!({"metadata": {"name": name}, "spec": {"cidrs": cidrs}, "status": {"conditions": conditions}})
}

fn at(name: &str, address: &str) -> Value {
    let mut service = web(name, "ClusterIP");
    service["spec"]["clusterIP"] = address.into();
    service
}

#[test]
fn another_range_gives_when_the_first_is_full() {
    let fixture = fixture(&["10.0.0.0/30"], (30000, 30009));
    let put = |object: &Value| fixture.memory.put(&SERVICE_CIDRS, object);
    put(&cidr("kubernetes", &json!(["10.0.0.0/30"]), Some("True")));
    for name in ["a", "b"] {
        fixture.store(None, web(name, "ClusterIP")).unwrap();
    }
    assert!(
        fixture
            .store(None, web("c", "ClusterIP"))
            .unwrap_err()
            .contains("range is full")
    );
    assert!(
        fixture
            .store(None, at("c", "10.9.0.1"))
            .unwrap_err()
            .contains("not in the valid range")
    );
    // One that is not ready gives nothing, and neither does one of a family that the cluster does not have.
    put(&cidr("more", &json!(["10.9.0.0/30"]), Some("False")));
    put(&cidr("six", &json!(["fd00::/112"]), Some("True")));
    assert!(fixture.store(None, web("c", "ClusterIP")).is_err());
    put(&cidr("more", &json!(["10.9.0.0/30"]), None));
    let given = fixture.store(None, web("c", "ClusterIP")).unwrap();
    assert!(
        given["spec"]["clusterIP"]
            .as_str()
            .unwrap()
            .starts_with("10.9.0.")
    );
    fixture.remove("c");
    fixture.store(None, at("d", "10.9.0.1")).unwrap();
    // Nothing is given from one that is being deleted.
    let mut going = cidr("more", &json!(["10.9.0.0/30"]), Some("True"));
    going["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z".into();
    put(&going);
    assert!(
        fixture
            .store(None, at("e", "10.9.0.2"))
            .unwrap_err()
            .contains("not in the valid range")
    );
    // The configured range goes with its object.
    put(&cidr("kubernetes", &json!(["10.0.0.0/30"]), Some("False")));
    fixture.remove("a");
    assert!(fixture.store(None, web("f", "ClusterIP")).is_err());
}

#[test]
fn what_is_somebody_elses_is_not_given_out() {
    let fixture = fixture(&["10.0.0.0/30"], (30000, 30009));
    let address = |name: &str, manager: &str| {
        json!({"metadata": {"name": name, "labels": {"ipaddress.kubernetes.io/managed-by": manager}},
            "spec": {"parentRef": {"group": "example.com", "resource": "gateways", "name": "g"}}})
    };
    fixture
        .memory
        .put(&IP_ADDRESSES, &address("10.0.0.1", "example.com"));
    assert!(
        fixture
            .store(None, at("w", "10.0.0.1"))
            .unwrap_err()
            .contains("provided IP is already allocated")
    );
    let given = fixture.store(None, web("w", "ClusterIP")).unwrap();
    assert_eq!(given["spec"]["clusterIP"], "10.0.0.2");
    // One that follows a Service says no more than the Service, which may be gone already.
    fixture
        .memory
        .put(&IP_ADDRESSES, &address("10.0.0.2", "ipallocator.k8s.io"));
    fixture.remove("w");
    fixture.store(None, at("x", "10.0.0.2")).unwrap();
}
