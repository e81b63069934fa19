//! How long it takes to write a pod's JSON as protobuf, and to read it back, beside what `serde_json` takes to parse it:
//! `cargo run --release -p keelson-api --example protobuf [POD.json]`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use keelson_api::protobuf::{decode, encode, envelope, of_kind};
use serde_json::{Value, json};

/// Rounds of each measurement; the fastest counts, because the machine may be busy.
const ROUNDS: usize = 20;
/// Times in a round.
const TIMES: u32 = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let json = match std::env::args().nth(1) {
        Some(path) => std::fs::read(path)?,
        None => serde_json::to_vec(&pod())?,
    };
    let message = of_kind("v1", "Pod").ok_or("no Pod")?;
    let body = envelope::object("v1", "Pod", message, &json)?;
    println!("pod: {} bytes of JSON, {} of protobuf", json.len(), body.len());
    let mut out = Vec::new();
    let took = fastest(|| {
        out.clear();
        let encoded = encode(message, black_box(&json), &mut out);
        assert!(black_box(encoded).is_ok());
    });
    let rate = json.len() as f64 / took.as_secs_f64() / 1e6;
    println!("JSON to protobuf: {took:?} ({rate:.0} MB/s)");
    let took = fastest(|| drop(black_box(decode(black_box(&body), ("v1", "Pod")))));
    println!("protobuf to value: {took:?}");
    let took = fastest(|| drop(black_box(serde_json::from_slice::<Value>(black_box(&json)))));
    println!("JSON to value: {took:?}");
    Ok(())
}

fn fastest(mut work: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..TIMES {
            work();
        }
        best = best.min(began.elapsed() / TIMES);
    }
    best
}

/// A running pod of about 3.5 KB.
fn pod() -> Value {
    let condition = |name: &str| json!({"type": name, "status": "True", "lastProbeTime": null, "lastTransitionTime": "2026-11-28T07:00:00Z"});
    let conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"].map(condition);
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "resourceVersion": "123456", "name": "web-7d4b9c6f5d-x2x9z", "generateName": "web-7d4b9c6f5d-", "namespace": "default",
            "uid": "0b9c1f6e-8f5e-4f2e-9c62-0f4f4f6f7a11", "creationTimestamp": "2026-11-28T07:00:00Z",
            "labels": {"app": "web", "pod-template-hash": "7d4b9c6f5d", "tier": "frontend"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9c6f5d",
                "uid": "4d2e6b8c-1d5f-4c2a-8f0a-6b1f9d3c5e77", "controller": true, "blockOwnerDeletion": true}],
            "managedFields": [{"manager": "keelson", "operation": "Update", "apiVersion": "v1", "time": "2026-11-28T07:00:00Z",
                "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:generateName": {}, "f:labels": {".": {}, "f:app": {}}},
                "f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:name": {}, "f:resources": {}}}}}}],
        },
        "spec": {
            "volumes": [{"name": "kube-api-access-8xk2p", "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}]}}],
            "containers": [{
                "name": "web", "image": "registry.local/web:1.27", "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "env": [{"name": "MODE", "value": "production"}, {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}],
                "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
                "volumeMounts": [{"name": "kube-api-access-8xk2p", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10,
                    "successThreshold": 1, "failureThreshold": 3},
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent",
            }],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "serviceAccountName": "default",
            "serviceAccount": "default", "nodeName": "node-1", "securityContext": {}, "schedulerName": "default-scheduler",
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
            "priority": 0, "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
        },
        "status": {
            "phase": "Running", "conditions": conditions,
            "hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.1"}], "podIP": "10.42.0.17", "podIPs": [{"ip": "10.42.0.17"}],
            "startTime": "2026-11-28T07:00:00Z", "qosClass": "Burstable",
            "containerStatuses": [{"name": "web", "state": {"running": {"startedAt": "2026-11-28T07:00:01Z"}}, "lastState": {}, "ready": true,
                "restartCount": 0, "image": "registry.local/web:1.27", "started": true,
                "imageID": "registry.local/web@sha256:9b2f5d3c4e1a0b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c",
                "containerID": "keelson://3c1f0e9d8b7a6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d"}],
        },
    })
}
