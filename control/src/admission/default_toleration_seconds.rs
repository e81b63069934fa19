//! DefaultTolerationSeconds: a pod stays bound to a node that is lost for five minutes, unless it says otherwise.

use serde_json::json;

use super::fields::{list, map, text};
use super::{Operation, Request};

const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
const SECONDS: i64 = 300;

pub fn admit(request: &mut Request<'_>) {
    if !request.is("", "pods") || !matches!(request.operation, Operation::Create | Operation::Update) {
        return;
    }
    let spec = request.object.as_deref_mut().and_then(|pod| map(pod, "spec"));
    let Some(tolerations) = spec.and_then(|spec| list(spec, "tolerations")) else {
        return;
    };
    for taint in TAINTS {
        let tolerated = tolerations.iter().any(|toleration| {
            let (key, effect) = (text(toleration, "/key"), text(toleration, "/effect"));
            (key == taint || key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
        });
        if !tolerated {
            tolerations.push(
                json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}),
            );
        }
    }
}
