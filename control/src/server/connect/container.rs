//! Which container of a pod a request means (`pkg/registry/core/pod.LogLocation` and its neighbours). Pure.

use keelson_api::status::Status;
use serde_json::Value;

/// Names a pod's default container for kubectl and for us.
const DEFAULT: &str = "kubectl.kubernetes.io/default-container";

fn names<'a>(pod: &'a Value, list: &str) -> Vec<&'a str> {
    pod["spec"][list]
        .as_array()
        .map(|list| list.iter().filter_map(|one| one["name"].as_str()).collect())
        .unwrap_or_default()
}

/// The container that is asked for, or the pod's only or default one.
pub fn choose<'a>(pod: &'a Value, asked: &'a str) -> Result<&'a str, Status> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let containers = names(pod, "containers");
    let init = names(pod, "initContainers");
    let ephemeral = names(pod, "ephemeralContainers");
    let exists = |wanted: &&str| {
        [&containers, &init, &ephemeral]
            .iter()
            .any(|list| list.contains(wanted))
    };
    if !asked.is_empty() {
        return if exists(&asked) {
            Ok(asked)
        } else {
            Err(Status::bad_request(format!(
                "container {asked} is not valid for pod {name}"
            )))
        };
    }
    if let [only] = containers.as_slice() {
        return Ok(only);
    }
    let default = pod["metadata"]["annotations"][DEFAULT].as_str().filter(exists);
    if let Some(default) = default {
        return Ok(default);
    }
    let mut message = format!("a container name must be specified for pod {name}");
    for (what, list) in [
        (", choose one of:", &containers),
        (" or one of the init containers:", &init),
        (" or one of the ephemeral containers:", &ephemeral),
    ] {
        if !list.is_empty() {
            message.push_str(what);
            message.push_str(" [");
            message.push_str(&list.join(" "));
            message.push(']');
        }
    }
    Err(Status::bad_request(message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn chooses_as_upstream_does() {
        let one = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}], "initContainers": [{"name": "i"}]}});
        assert_eq!(choose(&one, "").unwrap(), "a");
        assert_eq!(choose(&one, "i").unwrap(), "i");
        assert_eq!(
            choose(&one, "x").unwrap_err().message,
            "container x is not valid for pod p"
        );
        let mut two =
            json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        assert_eq!(
            choose(&two, "").unwrap_err().message,
            "a container name must be specified for pod p, choose one of: [a b]"
        );
        two["spec"]["initContainers"] = json!([{"name": "i"}]);
        assert_eq!(
            choose(&two, "").unwrap_err().message,
            "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]"
        );
        two["metadata"]["annotations"] = json!({DEFAULT: "b"});
        assert_eq!(choose(&two, "").unwrap(), "b");
    }
}
