//! Cluster addresses of Services, their families, and the objects that ranges and addresses are.

use super::*;

fn service(spec: &Value) -> Vec<String> {
    let mut spec = spec.clone();
    spec["ports"] = json!([{"port": 80}]);
    new("", "services", json!({"metadata": {"name": "s"}, "spec": spec}))
}

#[test]
fn cluster_addresses_and_families_fit_together() {
    let ips = |spec: Value, complaint: &str| assert_eq!(service(&spec), [complaint], "{spec}");
    for good in [
        json!({}),
        json!({"clusterIP": "10.43.0.1", "clusterIPs": ["10.43.0.1"]}),
        json!({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1", "10.43.0.1"], "ipFamilies": ["IPv6", "IPv4"],
            "ipFamilyPolicy": "RequireDualStack"}),
        json!({"clusterIP": "None", "clusterIPs": ["None"], "ipFamilies": ["IPv6"]}),
    ] {
        assert_eq!(service(&good), [""; 0], "{good}");
    }
    ips(
        json!({"clusterIP": "10.43.0.1", "clusterIPs": ["10.43.7.7"]}),
        "spec.clusterIPs: Invalid value: [\"10.43.7.7\"]: first value must match `clusterIP`",
    );
    ips(
        json!({"clusterIP": "10.43.0.1"}),
        "spec.clusterIPs: Required value",
    );
    ips(
        json!({"clusterIPs": ["10.43.0.1"]}),
        "spec.clusterIPs: Invalid value: [\"10.43.0.1\"]: must be empty when `clusterIP` is not specified",
    );
    ips(
        json!({"clusterIP": "None", "clusterIPs": ["None", "10.43.0.1"]}),
        "spec.clusterIPs: Invalid value: [\"None\",\"10.43.0.1\"]: 'None' must be the first and only value",
    );
    ips(
        json!({"clusterIP": "10.43.0.1", "clusterIPs": ["10.43.0.1", "10.43.0.2"]}),
        "spec.clusterIPs: Invalid value: [\"10.43.0.1\",\"10.43.0.2\"]: may specify no more than one IP for each IP family",
    );
    ips(
        json!({"clusterIP": "10.43.0.1", "clusterIPs": ["10.43.0.1", "fd00::1", "fd00::2"]}),
        "spec.clusterIPs: Invalid value: [\"10.43.0.1\",\"fd00::1\",\"fd00::2\"]: may only hold up to 2 values",
    );
    ips(
        json!({"clusterIP": "x", "clusterIPs": ["x"]}),
        "spec.clusterIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
    );
    ips(
        json!({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1"], "ipFamilies": ["IPv4"]}),
        "spec.clusterIPs[0]: Invalid value: \"fd00::1\": expected an IPv4 value as indicated by `ipFamilies[0]`",
    );
    ips(
        json!({"ipFamilies": ["IPv5"]}),
        "spec.ipFamilies[0]: Unsupported value: \"IPv5\": supported values: \"IPv4\", \"IPv6\"",
    );
    ips(
        json!({"ipFamilies": ["IPv4", "IPv4"]}),
        "spec.ipFamilies[1]: Duplicate value: \"IPv4\"",
    );
    ips(
        json!({"ipFamilyPolicy": "Foo"}),
        "spec.ipFamilyPolicy: Unsupported value: \"Foo\": supported values: \"PreferDualStack\", \"RequireDualStack\", \
         \"SingleStack\"",
    );
    assert_eq!(
        service(
            &json!({"type": "ExternalName", "externalName": "a.example", "clusterIP": "10.43.0.1", "clusterIPs": ["10.43.0.1"],
                "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})
        ),
        ["clusterIPs", "ipFamilies", "ipFamilyPolicy"]
            .map(|field| format!("spec.{field}: Forbidden: may not be set for ExternalName services"))
    );
}

#[test]
fn only_the_second_address_comes_and_goes() {
    let of = |ips: &[&str], families: &[&str], policy: &str| {
        let mut spec = json!({"ports": [{"port": 80}], "ipFamilies": families, "ipFamilyPolicy": policy});
        if let Some(first) = ips.first() {
            spec["clusterIP"] = (*first).into();
            spec["clusterIPs"] = json!(ips);
        }
        json!({"metadata": {"name": "s", "resourceVersion": "1"}, "spec": spec})
    };
    let change =
        |old: &Value, new: &Value| changed("", "services", old.clone(), |object| *object = new_defaults(new));
    let (four, six) = ("10.43.0.1", "fd00::1");
    let (one, both) = (["IPv4"], ["IPv4", "IPv6"]);
    let single = of(&[four], &one, "SingleStack");
    let dual = of(&[four, six], &both, "PreferDualStack");
    for (old, new) in [(&single, &dual), (&dual, &single), (&dual, &dual)] {
        assert_eq!(change(old, new), [""; 0]);
    }
    assert_eq!(
        change(&single, &of(&["10.43.0.2"], &one, "SingleStack")),
        ["spec.clusterIPs[0]: Invalid value: [\"10.43.0.2\"]: may not change once set"]
    );
    assert_eq!(
        change(&dual, &of(&[four, "fd00::2"], &both, "PreferDualStack")),
        ["spec.clusterIPs[1]: Invalid value: [\"10.43.0.1\",\"fd00::2\"]: may not change once set"]
    );
    assert_eq!(
        change(&single, &of(&[], &one, "SingleStack")),
        ["spec.clusterIPs[0]: Invalid value: []: primary clusterIP can not be unset"]
    );
    assert_eq!(
        change(&dual, &of(&[four], &one, "PreferDualStack")),
        ["clusterIP", "ipFamily"].map(|what| format!(
            "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the \
             secondary {what}"
        ))
    );
    assert_eq!(
        change(&single, &of(&["None"], &one, "SingleStack")),
        ["spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set"]
    );
    assert_eq!(
        change(
            &of(&["None"], &one, "SingleStack"),
            &of(&["None"], &["IPv6"], "SingleStack")
        ),
        [""; 0]
    );
}

fn new_defaults(object: &Value) -> Value {
    let mut object = object.clone();
    crate::kinds::find("", "v1", "services")
        .unwrap()
        .strategy
        .default(&mut object);
    object
}

#[test]
fn addresses_of_load_balancers_have_a_mode() {
    let kind = crate::kinds::find("", "v1", "services").unwrap();
    let check = |point: Value| -> (Value, Vec<String>) {
        let mut new = json!({"metadata": {"name": "s"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
            "status": {"loadBalancer": {"ingress": [point]}}});
        crate::kinds::default(kind, &mut new);
        let errors = kind.strategy.validate_update(Some("status"), &new, &new);
        (
            new["status"]["loadBalancer"]["ingress"][0]["ipMode"].clone(),
            errors.iter().map(ToString::to_string).collect(),
        )
    };
    assert_eq!(check(json!({"ip": "192.0.2.1"})), (json!("VIP"), Vec::new()));
    assert_eq!(
        check(json!({"ip": "192.0.2.1", "ipMode": "Proxy"})),
        (json!("Proxy"), Vec::new())
    );
    assert_eq!(check(json!({"hostname": "a.example"})), (Value::Null, Vec::new()));
    let path = "status.loadBalancer.ingress[0].ipMode";
    assert_eq!(
        check(json!({"hostname": "a.example", "ipMode": "VIP"})).1,
        [format!(
            "{path}: Forbidden: may not be specified when `ip` is not set"
        )]
    );
    assert_eq!(
        check(json!({"ip": "192.0.2.1", "ipMode": "x"})).1,
        [format!(
            "{path}: Unsupported value: \"x\": supported values: \"Proxy\", \"VIP\""
        )]
    );
}

#[test]
fn service_cidrs_are_one_of_each_family() {
    let group = "networking.k8s.io";
    let of = |cidrs: Value| json!({"metadata": {"name": "c"}, "spec": {"cidrs": cidrs}});
    let check = |cidrs: Value| new(group, "servicecidrs", of(cidrs));
    let change = |old: Value, new: Value| {
        changed(group, "servicecidrs", of(old), |object| {
            object["spec"]["cidrs"] = new.clone();
        })
    };
    assert_eq!(check(json!(["10.0.0.0/8", "fd00::/64"])), [""; 0]);
    assert_eq!(
        check(json!([])),
        ["spec.cidrs: Required value: at least one CIDR required"]
    );
    assert_eq!(
        check(json!(["10.0.0.0/8", "11.0.0.0/8"])),
        [
            "spec.cidrs: Invalid value: networking.ServiceCIDRSpec{CIDRs:[]string{\"10.0.0.0/8\", \"11.0.0.0/8\"}}: may \
             specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        ]
    );
    assert!(
        check(json!(["10.0.0.0/8", "fd00::/64", "fd01::/64"]))[0].ends_with("may only hold up to 2 values")
    );
    assert!(check(json!(["x"]))[0].starts_with("spec.cidrs[0]: Invalid value: \"x\": must be a valid CIDR"));

    assert_eq!(
        change(json!(["10.0.0.0/8"]), json!(["10.0.0.0/8", "fd00::/64"])),
        [""; 0]
    );
    assert_eq!(
        change(json!(["10.0.0.0/8"]), json!(["11.0.0.0/8"])),
        ["spec.cidrs[0]: Invalid value: \"11.0.0.0/8\": field is immutable"]
    );
    assert_eq!(
        change(json!(["10.0.0.0/8", "fd00::/64"]), json!(["10.0.0.0/8"])),
        ["spec.cidrs: Invalid value: [\"10.0.0.0/8\"]: field is immutable"]
    );
}

#[test]
fn ip_addresses_are_somebodys() {
    let group = "networking.k8s.io";
    let of = |name: &str, parent: Value| json!({"metadata": {"name": name}, "spec": {"parentRef": parent}});
    let check = |object: Value| new(group, "ipaddresses", object);
    let parent = json!({"resource": "services", "namespace": "a", "name": "w"});
    assert_eq!(check(of("10.0.0.1", parent.clone())), [""; 0]);
    assert_eq!(
        check(json!({"metadata": {"name": "10.0.0.1"}, "spec": {}})),
        ["spec.parentRef: Required value"]
    );
    assert_eq!(
        check(of("10.0.0.1", json!({"group": "A"})))[1..],
        [
            "spec.parentRef.resource: Required value",
            "spec.parentRef.name: Required value"
        ]
    );
    assert_eq!(
        check(of("fd00:0::1", parent.clone())),
        ["metadata.name: Invalid value: \"fd00:0::1\": must be in canonical form (\"fd00::1\")"]
    );
    assert_eq!(
        changed(
            group,
            "ipaddresses",
            of("10.0.0.1", parent),
            |object| object["spec"]["parentRef"]["name"] = "x".into()
        ),
        [
            "spec.parentRef: Invalid value: networking.ParentReference{Group:\"\", Resource:\"services\", Namespace:\"a\", \
             Name:\"x\"}: field is immutable"
        ]
    );
}
