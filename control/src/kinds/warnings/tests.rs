use serde_json::{Value, json};

use super::of;
use crate::kinds::find;

fn warned(group: &str, plural: &str, old: Option<&Value>, new: &Value) -> Vec<String> {
    of(find(group, "v1", plural).unwrap(), old, new)
}

#[test]
fn pods_are_warned_of_when_they_are_made() {
    let pod = json!({
        "metadata": {"name": "a.b", "annotations": {"container.seccomp.security.alpha.kubernetes.io/c": "x"}},
        "spec": {
            "nodeSelector": {"beta.kubernetes.io/os": "linux", "disk": "fast"},
            "topologySpreadConstraints": [{"topologyKey": "failure-domain.beta.kubernetes.io/zone"}],
            "hostAliases": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.1"}],
            "imagePullSecrets": [{"name": "s"}, {"name": "s"}, {}],
            "terminationGracePeriodSeconds": -1,
            "volumes": [{"name": "v", "gitRepo": {"repository": "r"}}],
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "t"}]}},
            "containers": [{"name": "c", "resources": {"limits": {"memory": "100m", "cpu": "100m"}}}],
        },
    });
    let warnings = warned("", "pods", None, &pod);
    assert_eq!(
        warnings,
        [
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is \
             recommended: [must not contain dots]",
            "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
            "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector: a null \
             labelSelector results in matching no pod",
            "spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; \
             use \"topology.kubernetes.io/zone\" instead",
            "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
            "spec.volumes[0].gitRepo: deprecated in v1.11",
            "spec.hostAliases[1].ip: duplicate ip \"10.0.0.1\"",
            "spec.imagePullSecrets[1].name: duplicate name \"s\"",
            "spec.imagePullSecrets[2].name: invalid empty name \"\"",
            "metadata.annotations[container.seccomp.security.alpha.kubernetes.io/c]: non-functional in v1.27+; use the \
             \"seccompProfile\" field instead",
            "spec.containers[0].resources.limits[memory]: fractional byte value \"100m\" is invalid, must be an integer",
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
        ]
    );
    assert_eq!(warned("", "pods", Some(&pod), &pod), Vec::<String>::new());
}

#[test]
fn variables_that_hide_others_are_warned_of() {
    let made = |second: Value| {
        let mut second = second;
        second["name"] = "X".into();
        let env = json!([{"name": "X", "value": "a"}, {"name": "Y", "value": "a"}, second]);
        let spec = json!({"spec": {"containers": [{"name": "c", "env": env}]}});
        warned(
            "apps",
            "deployments",
            None,
            &json!({"metadata": {"name": "d"}, "spec": {"template": spec}}),
        )
    };
    let hidden = [
        "spec.template.spec.containers[0].env[2]: hides previous definition of \"X\", which may be dropped when \
                   using apply",
    ];
    assert_eq!(made(json!({"value": "b"})), hidden);
    assert_eq!(made(json!({"value": "$(X)"})), hidden);
    assert_eq!(made(json!({"valueFrom": {}})), hidden);
    assert_eq!(made(json!({"value": "$(X):b"})), Vec::<String>::new());
}

#[test]
fn ports_that_meet_are_warned_of() {
    let ports = |ports: Value| {
        let mut ports = ports;
        for port in ports.as_array_mut().unwrap() {
            port["containerPort"] = 80.into();
            port["protocol"] = "TCP".into();
        }
        warned(
            "",
            "pods",
            None,
            &json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "ports": ports}]}}),
        )
    };
    let told = |what: &str| {
        vec![format!(
            "spec.containers[0].ports[1]: {what} port definition with spec.containers[0].ports[0]"
        )]
    };
    assert_eq!(ports(json!([{}, {}])), told("duplicate"));
    assert_eq!(ports(json!([{}, {"hostPort": 1}])), told("overlapping"));
    assert_eq!(
        ports(json!([{"hostPort": 1}, {"hostPort": 1, "hostIP": "::1"}])),
        told("dangerously ambiguous")
    );
    assert_eq!(
        ports(json!([{"hostPort": 1}, {"hostPort": 2}])),
        Vec::<String>::new()
    );
    assert_eq!(
        ports(json!([{"hostIP": "::1", "name": "n"}])),
        [
            "spec.containers[0].ports[0]: hostIP set without hostPort: {Name:n HostPort:0 ContainerPort:80 Protocol:TCP HostIP:::1}"
        ]
    );
}

#[test]
fn a_template_is_looked_at_when_it_has_changed() {
    let set = |generation: u64| {
        json!({"metadata": {"name": "s.t", "generation": generation}, "spec": {"template":
            {"spec": {"terminationGracePeriodSeconds": -1}}}})
    };
    let template = "spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be \
                    treated as 1";
    assert_eq!(warned("apps", "replicasets", None, &set(1)).len(), 2);
    assert_eq!(
        warned("apps", "replicasets", Some(&set(1)), &set(1)),
        Vec::<String>::new()
    );
    assert_eq!(warned("apps", "replicasets", Some(&set(1)), &set(2)), [template]);
    assert_eq!(warned("apps", "daemonsets", None, &set(1)), [template]);
}

#[test]
fn services_volumes_and_the_rest() {
    let service = |spec: Value| {
        warned(
            "",
            "services",
            None,
            &json!({"metadata": {"name": "s"}, "spec": spec}),
        )
    };
    assert_eq!(
        service(
            json!({"type": "ClusterIP", "clusterIP": "None", "sessionAffinity": "ClientIP", "externalIPs": ["1.2.3.4"]})
        ),
        [
            "spec.externalIPs is ignored for headless services",
            "spec.SessionAffinity is ignored for headless services"
        ]
    );
    assert_eq!(
        service(
            json!({"type": "ClusterIP", "clusterIP": "fd00:0::1", "clusterIPs": ["fd00:0::1"], "externalName": "x"})
        ),
        [
            "spec.clusterIPs[0]: IPv6 address \"fd00:0::1\" should be in RFC 5952 canonical format (\"fd00::1\")",
            "spec.externalName is ignored when spec.type is not \"ExternalName\"",
        ]
    );
    let claim = json!({"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": "1500m"}}}});
    assert_eq!(
        warned("", "persistentvolumeclaims", None, &claim),
        ["spec.resources.requests[storage]: fractional byte value \"1500m\" is invalid, must be an integer"]
    );
    let ingress = json!({"metadata": {"annotations": {"kubernetes.io/ingress.class": "nginx"}}});
    assert_eq!(
        warned("networking.k8s.io", "ingresses", None, &ingress),
        [
            "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
        ]
    );
}

#[test]
fn many_are_told_in_part() {
    let ports: Vec<Value> = (0..20_000)
        .map(|port| json!({"containerPort": 80, "hostPort": port % 200}))
        .collect();
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "ports": ports}]}});
    assert_eq!(warned("", "pods", None, &pod).len(), 100);
}

#[test]
fn networks_are_warned_of() {
    let canonical = "should be in RFC 5952 canonical format";
    let annotated = json!({"kubernetes.io/ingress.class": "nginx"});
    let slice = |kind: &str, manager: &str| {
        json!({"metadata": {"labels": {"endpointslice.kubernetes.io/managed-by": manager}}, "addressType": kind,
            "endpoints": [{"addresses": [if kind == "FQDN" { "a.b" } else { "fd00:0::1" }]}]})
    };
    let six = format!("endpoints[0].addresses[0]: IPv6 address \"fd00:0::1\" {canonical} (\"fd00::1\")");
    let endpoints = |manager: &str| {
        json!({"metadata": {"labels": {"endpoints.kubernetes.io/managed-by": manager}},
            "subsets": [{"notReadyAddresses": [{"ip": "::ffff:1.2.3.4"}]}]})
    };
    let peers = json!([{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.1/16"]}}]);
    for (group, plural, is_new, object, told) in [
        (
            "networking.k8s.io",
            "ingresses",
            true,
            json!({"metadata": {"annotations": annotated}, "spec": {"ingressClassName": "nginx"}}),
            vec![],
        ),
        (
            "networking.k8s.io",
            "ingresses",
            false,
            json!({"metadata": {"annotations": annotated}}),
            vec![],
        ),
        (
            "networking.k8s.io",
            "networkpolicies",
            true,
            json!({"spec": {"egress": [{"to": peers}]}}),
            vec![
                "spec.egress[0].to[1].ipBlock.except[0]: CIDR value \"10.1.0.1/16\" is ambiguous in this context (should be \
                 \"10.1.0.0/16\" or \"10.1.0.1/32\"?)",
            ],
        ),
        (
            "discovery.k8s.io",
            "endpointslices",
            true,
            slice("FQDN", ""),
            vec!["spec.addressType: FQDN endpoints are deprecated"],
        ),
        (
            "discovery.k8s.io",
            "endpointslices",
            false,
            slice("FQDN", ""),
            vec![],
        ),
        (
            "discovery.k8s.io",
            "endpointslices",
            false,
            slice("IPv6", ""),
            vec![&six],
        ),
        (
            "discovery.k8s.io",
            "endpointslices",
            true,
            slice("IPv6", "endpointslice-controller.k8s.io"),
            vec![],
        ),
        (
            "",
            "endpoints",
            true,
            endpoints(""),
            vec![
                "subsets[0].notReadyAddresses[0].ip: non-standard IP address \"::ffff:1.2.3.4\" will be considered invalid in \
                 a future Kubernetes release: use \"1.2.3.4\"",
            ],
        ),
        ("", "endpoints", true, endpoints("endpoint-controller"), vec![]),
        (
            "",
            "services",
            true,
            json!({"spec": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.1/8", " 10.0.0.1/8"]}}),
            vec![
                "spec.loadBalancerSourceRanges[0]: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \
                 \"10.0.0.0/8\" or \"10.0.0.1/32\"?)",
            ],
        ),
        (
            "",
            "nodes",
            true,
            json!({"spec": {"externalID": "x", "configSource": {}}}),
            vec![
                "spec.configSource: the feature is removed",
                "spec.externalID: this field is deprecated, and is unused by Kubernetes",
            ],
        ),
    ] {
        let old = (!is_new).then_some(&object);
        assert_eq!(warned(group, plural, old, &object), told, "{object}");
    }
}

#[test]
fn files_in_each_others_way_are_warned_of() {
    let volumes = json!([
        {"name": "a", "configMap": {"name": "m", "items": [{"path": "x"}, {"path": "x/y"}, {"path": "z"}]}},
        {"name": "b", "secret": {"secretName": "s", "items": [{"path": "x"}, {"path": "y"}]}},
        {"name": "c", "projected": {"sources": [
            {"serviceAccountToken": {"path": "token"}},
            {"configMap": {"name": "m", "items": [{"path": "token"}]}},
            {},
        ]}},
    ]);
    let pod = json!({"metadata": {"name": "p"}, "spec": {"volumes": volumes, "containers": []}});
    assert_eq!(
        warned("", "pods", None, &pod),
        [
            "volume \"a\" (ConfigMap \"m\"): overlapping paths: \"x/y\" with \"x\"",
            "volume \"c\" (Projected ConfigMap \"m\"): overlapping paths: \"token\" with \"token\"",
            "volume \"c\" (Projected) has no sources provided",
        ]
    );
}

#[test]
fn indexes_that_may_not_be_told_are_warned_of() {
    let job = |parallelism: u32| {
        let spec = json!({"completionMode": "Indexed", "completions": 100_001, "parallelism": parallelism});
        json!({"metadata": {"name": "j", "generation": 1}, "spec": spec})
    };
    let told = warned("batch", "jobs", None, &job(10_001));
    assert!(
        told.len() == 1 && told[0].starts_with("spec: In Indexed Jobs with a number of completions"),
        "{told:?}"
    );
    assert!(warned("batch", "jobs", None, &job(10_000)).is_empty());
    assert!(warned("batch", "jobs", Some(&job(10_001)), &job(10_001)).is_empty());
}
