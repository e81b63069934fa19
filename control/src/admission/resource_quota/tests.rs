//! Counting, scopes, and requests at the same time.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::admission::tests::{kind, user};
use crate::auth::memory::Memory;
use crate::auth::resources::PODS;

struct Fixture {
    memory: Arc<Memory>,
    quotas: Quotas,
}

fn fixture(spec: &Value) -> Fixture {
    let memory = Arc::new(Memory::default());
    memory.put(
        &RESOURCE_QUOTAS,
        &json!({"metadata": {"name": "q", "namespace": "a", "uid": "q"}, "spec": spec}),
    );
    Fixture {
        quotas: Quotas::new(memory.clone(), Limited::default()),
        memory,
    }
}

fn pod(name: &str, cpu: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "a", "uid": name},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}}]},
    })
}

impl Fixture {
    /// Admits `object`, and with `settle` ends the request at once.
    fn admit(
        &self,
        plural: &'static str,
        old: Option<&Value>,
        object: &mut Value,
        settle: bool,
    ) -> Result<(), String> {
        let (kind, user) = (kind("", plural), user("x", &[]));
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let request = Request {
            user: &user,
            operation: if old.is_some() {
                Operation::Update
            } else {
                Operation::Create
            },
            kind: &kind,
            subresource: "",
            namespace: "a",
            name: &name,
            old,
            object: Some(object),
            dry_run: false,
        };
        let result = self.quotas.admit(&request).map_err(|status| status.message);
        if settle {
            self.quotas.settle(&request);
        }
        result
    }

    fn pod(&self, mut pod: Value) -> Result<(), String> {
        self.admit("pods", None, &mut pod, true)
    }
}

#[test]
fn a_pod_whose_node_is_lost_holds_nothing() {
    let fixture = fixture(&json!({"hard": {"requests.cpu": "1", "pods": "1", "count/pods": "2"}}));
    let ending = |deleted: String, grace: Value| {
        let mut pod = pod("lost", "600m");
        pod["metadata"]["deletionTimestamp"] = deleted.into();
        pod["metadata"]["deletionGracePeriodSeconds"] = grace;
        pod
    };
    let now = keelson_api::time::now();
    let at = |time: i64| keelson_api::time::format(time);
    let new = pod("x", "600m");
    for pod in [
        ending(at(now + 30), json!(30)),
        // The node may be a little late.
        ending(at(now - 30), json!(300)),
        ending(at(now - 30), Value::Null),
    ] {
        fixture.memory.put(&PODS, &pod);
        assert!(fixture.pod(new.clone()).is_err(), "{pod}");
    }
    fixture.memory.put(&PODS, &ending(at(now - 61), json!(30)));
    assert_eq!(fixture.pod(pod("x", "600m")), Ok(()));
    // It is an object all the same.
    let mut second = ending(at(now - 61), json!(30));
    second["metadata"]["name"] = "second".into();
    second["metadata"]["uid"] = "second".into();
    fixture.memory.put(&PODS, &second);
    assert!(
        fixture
            .pod(pod("x", "600m"))
            .unwrap_err()
            .contains("used: count/pods=2")
    );
}

#[test]
fn compute_adds_up() {
    let fixture = fixture(&json!({"hard": {"requests.cpu": "1", "pods": "3"}}));
    assert_eq!(fixture.pod(pod("x", "600m")), Ok(()));
    fixture.memory.put(&PODS, &pod("one", "600m"));
    assert_eq!(
        fixture.pod(pod("x", "600m")).unwrap_err(),
        "pods \"x\" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, \
         limited: requests.cpu=1"
    );
    assert_eq!(fixture.pod(pod("x", "400m")), Ok(()));
    fixture.memory.put(&PODS, &pod("two", "0"));
    fixture.memory.put(&PODS, &pod("three", "0"));
    assert!(
        fixture
            .pod(pod("x", "0"))
            .unwrap_err()
            .contains("requested: pods=1, used: pods=3, limited: pods=3")
    );
    // What is over counts no longer.
    let mut over = pod("one", "600m");
    over["status"]["phase"] = "Succeeded".into();
    fixture.memory.put(&PODS, &over);
    assert_eq!(fixture.pod(pod("x", "1")), Ok(()));
}

#[test]
fn amounts_must_be_named() {
    let fixture = fixture(&json!({"hard": {"limits.memory": "1Gi", "cpu": "1"}}));
    let bare = json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
    assert_eq!(
        fixture.pod(bare).unwrap_err(),
        "pods \"x\" is forbidden: failed quota: q: must specify cpu for: a,b; limits.memory for: a,b"
    );
}

#[test]
fn objects_are_counted() {
    let fixture = fixture(&json!({"hard": {
        "configmaps": "0", "count/secrets": "1", "services.nodeports": "1", "requests.storage": "10Gi",
        "gold.storageclass.storage.k8s.io/requests.storage": "1Gi",
    }}));
    let named = |spec: Value| json!({"metadata": {"name": "x", "namespace": "a"}, "spec": spec});
    let create = |plural, mut object: Value| fixture.admit(plural, None, &mut object, true);
    assert!(
        create("configmaps", named(json!({})))
            .unwrap_err()
            .contains("exceeded quota")
    );
    assert_eq!(create("secrets", named(json!({}))), Ok(()));
    assert_eq!(
        create(
            "services",
            named(json!({"type": "NodePort", "ports": [{"port": 1}]}))
        ),
        Ok(())
    );
    assert!(
        create(
            "services",
            named(json!({"type": "NodePort", "ports": [{"port": 1}, {"port": 2}]}))
        )
        .is_err()
    );
    let claim = |class: &str, size: &str| {
        named(json!({
            "storageClassName": class, "resources": {"requests": {"storage": size}},
        }))
    };
    assert_eq!(create("persistentvolumeclaims", claim("", "10Gi")), Ok(()));
    assert!(create("persistentvolumeclaims", claim("", "11Gi")).is_err());
    assert!(create("persistentvolumeclaims", claim("gold", "2Gi")).is_err());
    let mut shrunk = claim("", "1Gi");
    shrunk["status"] = json!({"allocatedResources": {"storage": "11Gi"}});
    assert!(
        create("persistentvolumeclaims", shrunk).is_err(),
        "what has been allocated counts"
    );
    let mut older = claim("gold", "2Gi");
    older["spec"].as_object_mut().unwrap().remove("storageClassName");
    older["metadata"]["annotations"] = json!({"volume.beta.kubernetes.io/storage-class": "gold"});
    assert!(
        create("persistentvolumeclaims", older).is_err(),
        "the annotation names the class as well"
    );
    assert_eq!(create("endpoints", named(json!({}))), Ok(()));
}

#[test]
fn updates_count_by_their_growth() {
    let fixture = fixture(&json!({"hard": {"services.nodeports": "1"}}));
    let service = |kind: &str, ports: usize| {
        json!({
            "metadata": {"name": "x", "namespace": "a"},
            "spec": {"type": kind, "ports": vec![json!({"port": 1}); ports]},
        })
    };
    let old = service("ClusterIP", 1);
    assert_eq!(
        fixture.admit("services", Some(&old), &mut service("NodePort", 1), true),
        Ok(())
    );
    assert!(
        fixture
            .admit("services", Some(&old), &mut service("NodePort", 2), true)
            .is_err()
    );
    let old = service("NodePort", 5);
    assert_eq!(
        fixture.admit("services", Some(&old), &mut service("NodePort", 5), true),
        Ok(()),
        "less or as much"
    );
}

#[test]
fn scopes() {
    let best_effort = fixture(&json!({"hard": {"pods": "0"}, "scopes": ["BestEffort"]}));
    assert_eq!(best_effort.pod(pod("x", "1")), Ok(()));
    assert!(best_effort.pod(pod("x", "0")).is_err());
    let not_terminating = fixture(&json!({"hard": {"pods": "0"}, "scopes": ["NotTerminating"]}));
    let mut short = pod("x", "1");
    short["spec"]["activeDeadlineSeconds"] = 5.into();
    assert_eq!(not_terminating.pod(short), Ok(()));
    assert!(not_terminating.pod(pod("x", "1")).is_err());
    let classes = fixture(
        &json!({"hard": {"pods": "0"}, "scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]},
        ]}}),
    );
    let mut high = pod("x", "1");
    high["spec"]["priorityClassName"] = "high".into();
    assert!(classes.pod(high).is_err());
    assert_eq!(classes.pod(pod("x", "1")), Ok(()));
}

#[test]
fn requests_at_the_same_time_share_the_quota() {
    let fixture = fixture(&json!({"hard": {"pods": "2"}}));
    let mut pods: Vec<Value> = (0..4).map(|number| pod(&format!("p{number}"), "1")).collect();
    let admitted = pods
        .iter_mut()
        .filter_map(|pod| fixture.admit("pods", None, pod, false).ok())
        .count();
    assert_eq!(admitted, 2);
    // Once stored, the object counts instead of the request, not in addition.
    fixture.memory.put(&PODS, &pods[0]);
    assert!(fixture.pod(pod("x", "1")).unwrap_err().contains("used: pods=2"));
    // Settling under another object's address does not free anything.
    assert!(fixture.pod(pod("p1", "1")).is_err());
    assert!(fixture.pod(pod("x", "1")).is_err());
    // One fails in the end.
    let (kind, user) = (kind("", "pods"), user("x", &[]));
    fixture.quotas.settle(&Request {
        user: &user,
        operation: Operation::Create,
        kind: &kind,
        subresource: "",
        namespace: "a",
        name: "p1",
        old: None,
        object: Some(&mut pods[1]),
        dry_run: false,
    });
    assert_eq!(fixture.pod(pod("x", "1")), Ok(()));
}

#[test]
fn pods_in_full() {
    let total = |pod: &Value| crate::admission::pod_resources::total(pod, "requests")["cpu"].millis();
    let container = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
    let sidecar = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}, "restartPolicy": "Always"});
    let spec =
        |containers: Value, init: Value| json!({"spec": {"containers": containers, "initContainers": init}});
    assert_eq!(
        total(&spec(
            json!([container("1"), container("2")]),
            json!([container("2")])
        )),
        3000
    );
    assert_eq!(
        total(&spec(
            json!([container("1")]),
            json!([container("5"), container("2")])
        )),
        5000
    );
    assert_eq!(
        total(&spec(
            json!([container("1")]),
            json!([sidecar("1"), container("3")])
        )),
        4000
    );
    assert_eq!(
        total(&spec(
            json!([container("1")]),
            json!([container("1"), sidecar("2")])
        )),
        3000
    );
}

#[test]
fn limited_resources_need_a_quota_that_covers_them() {
    let limited = || {
        Limited::new(json!({
            "apiVersion": "apiserver.config.k8s.io/v1", "kind": "ResourceQuotaConfiguration",
            "limitedResources": [
                {"resource": "persistentvolumeclaims", "matchContains": ["gold.storageclass.storage.k8s.io/"]},
                {"resource": "pods", "matchContains": ["requests.cpu"],
                    "matchScopes": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high", "highest"]}]},
            ],
        }))
        .unwrap()
    };
    let with = |hard: &Value, more: Value| {
        let mut spec = json!({ "hard": hard });
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let mut fixture = fixture(&spec);
        fixture.quotas = Quotas::new(fixture.memory.clone(), limited());
        fixture
    };
    let none = with(&json!({"secrets": "1"}), json!({}));
    assert_eq!(
        none.pod(pod("x", "1")).unwrap_err(),
        "pods \"x\" is forbidden: insufficient quota to consume: requests.cpu"
    );
    let claim = |class: &str| {
        json!({"metadata": {"name": "c", "namespace": "a"}, "spec": {"storageClassName": class,
            "resources": {"requests": {"storage": "1Gi"}}}})
    };
    let ask = |fixture: &Fixture, class: &str| {
        fixture.admit("persistentvolumeclaims", None, &mut claim(class), true)
    };
    assert_eq!(ask(&none, "silver"), Ok(()));
    assert_eq!(
        ask(&none, "gold").unwrap_err(),
        "persistentvolumeclaims \"c\" is forbidden: insufficient quota to consume: \
         gold.storageclass.storage.k8s.io/persistentvolumeclaims,gold.storageclass.storage.k8s.io/requests.storage"
    );
    // What uses no more than before is not looked at.
    let mut same = claim("gold");
    same["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(
        none.admit("persistentvolumeclaims", Some(&claim("gold")), &mut same, true),
        Ok(())
    );

    let cpu = with(&json!({"requests.cpu": "10"}), json!({}));
    assert_eq!(cpu.pod(pod("x", "1")), Ok(()));
    let high = || {
        let mut pod = pod("x", "1");
        pod["spec"]["priorityClassName"] = "high".into();
        pod
    };
    assert_eq!(
        cpu.pod(high()).unwrap_err(),
        "pods \"x\" is forbidden: insufficient quota to match these scopes: [{PriorityClass In [high highest]}]"
    );
    let covered = with(
        &json!({"requests.cpu": "10"}),
        json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}),
    );
    assert_eq!(covered.pod(high()), Ok(()));
    assert_eq!(
        covered.pod(pod("x", "1")).unwrap_err(),
        "pods \"x\" is forbidden: insufficient quota to consume: requests.cpu",
        "the quota is for other pods"
    );

    let wrong = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "ResourceQuotaConfiguration",
        "limitedResources": [{}]});
    assert_eq!(
        Limited::new(wrong).unwrap_err(),
        "limitedResources[0].resource: Required value"
    );
}

#[test]
fn amounts_that_are_written_differently_are_told_as_the_limit() {
    let fixture = fixture(&json!({"hard": {"requests.memory": "1Gi", "count/configmaps": "1"}}));
    let with = |name: &str, memory: &str| {
        let mut pod = pod(name, "1");
        pod["spec"]["containers"][0]["resources"]["requests"]["memory"] = memory.into();
        pod
    };
    fixture.memory.put(&PODS, &with("one", "512Mi"));
    fixture.memory.put(&PODS, &with("other", "1024"));
    let told = fixture.pod(with("new", "1Gi")).unwrap_err();
    assert!(told.contains("used: requests.memory=524289Ki,"), "{told}");
    let mut map = json!({"metadata": {"name": "m", "namespace": "a", "uid": "m"}});
    assert_eq!(fixture.admit("configmaps", None, &mut map, true), Ok(()));
    fixture.memory.put(&GroupResource::new("", "configmaps"), &map);
    let told = fixture
        .admit("configmaps", None, &mut map.clone(), true)
        .unwrap_err();
    assert!(told.contains("used: count/configmaps=1,"), "{told}");
}
