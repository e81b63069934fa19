//! Services, endpoints, ingresses and policies.

use super::*;

#[test]
fn services_and_endpoints() {
    let service = |spec: Value| new("", "services", json!({"metadata": {"name": "s"}, "spec": spec}));
    let ports = json!([{"port": 80}]);
    assert_eq!(
        service(json!({"ports": ports, "loadBalancerClass": "a/b", "loadBalancerSourceRanges": ["x"]})),
        [
            "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
            "spec.LoadBalancerSourceRanges[0]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or \
             2001:db8::/64)",
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ]
    );
    assert_eq!(
        service(json!({"type": "LoadBalancer", "ports": [{"port": 10250}]})),
        [
            "spec.ports[0]: Invalid value: 10250: may not expose port 10250 externally since it is used by kubelet"
        ]
    );
    assert_eq!(
        service(
            json!({"ports": ports, "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}})
        ),
        [
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400"
        ]
    );
    assert_eq!(
        service(json!({"ports": ports, "externalIPs": ["127.0.0.1"]})),
        [
            "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)"
        ]
    );
    let balanced = json!({"metadata": {"name": "s"}, "spec": {"type": "LoadBalancer", "ports": ports, "loadBalancerClass": "a/b"}});
    assert_eq!(
        changed("", "services", balanced, |new| new["spec"]["loadBalancerClass"] =
            "a/c".into()),
        ["spec.loadBalancerClass: Invalid value: \"a/c\": may not change once set"]
    );
    let endpoints = |namespace: &str, name: &str| {
        let meta = json!({"name": name, "namespace": namespace});
        let subsets = json!([{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 1}]}]);
        new("", "endpoints", json!({"metadata": meta, "subsets": subsets}))
    };
    assert!(endpoints("default", "kubernetes").is_empty());
    assert_eq!(
        endpoints("default", "x"),
        [
            "subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)"
        ]
    );
    let slice = |kind: &str, address: &str| {
        let endpoints = json!([{"addresses": [address], "hostname": "a.b"}]);
        new(
            "discovery.k8s.io",
            "endpointslices",
            json!({"metadata": {"name": "s"}, "addressType": kind, "endpoints": endpoints}),
        )
    };
    assert_eq!(
        slice("IPv4", "169.254.1.1"),
        [
            "endpoints[0].addresses[0]: Invalid value: \"169.254.1.1\": may not be in the link-local range (169.254.0.0/16, \
             fe80::/10)",
            "endpoints[0].hostname: Invalid value: \"a.b\": must not contain dots",
        ]
    );
    assert!(
        slice("FQDN", "a_b")[0]
            .starts_with("endpoints[0].addresses[0]: Invalid value: \"a_b\": a lowercase RFC 1123")
    );
}

#[test]
fn networking() {
    let group = "networking.k8s.io";
    let ingress = |path: &str, host: &str| {
        let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
        let rule = json!({"host": host, "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}});
        new(
            group,
            "ingresses",
            json!({"metadata": {"name": "i"}, "spec": {"rules": [rule]}}),
        )
    };
    assert!(ingress("/a", "*.example.com").is_empty());
    assert_eq!(
        ingress("/a//b", "1.2.3.4"),
        [
            "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address",
            "spec.rules[0].http.paths[0].path: Invalid value: \"/a//b\": must not contain '//'",
        ]
    );
    assert!(ingress("/", "a.*.b")[0].contains("a wildcard DNS-1123 subdomain must start with '*.'"));
    let class = json!({"metadata": {"name": "c"}, "spec": {"controller": "a.b/c"}});
    assert_eq!(
        changed(group, "ingressclasses", class, |new| new["spec"]["controller"] =
            "a.b/d".into()),
        ["spec.controller: Invalid value: \"a.b/d\": field is immutable"]
    );
    let policy_of = |cidr: &str, except: &str| {
        let peer = json!({"ipBlock": {"cidr": cidr, "except": [except]}});
        new(
            group,
            "networkpolicies",
            json!({"metadata": {"name": "n"}, "spec": {"podSelector": {}, "ingress": [{"from": [peer]}]}}),
        )
    };
    let policy = |except: &str| policy_of("10.0.0.0/8", except);
    assert!(policy("10.1.0.0/16").is_empty());
    let errors = policy_of("x", "y");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("spec.ingress[0].from[0].ipBlock.cidr: "));
    for outside in ["11.0.0.0/16", "10.0.0.0/8", "0.0.0.0/0"] {
        assert_eq!(
            policy(outside),
            [format!(
                "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"{outside}\": must be a strict subset of `cidr`"
            )]
        );
    }
}
