//! PodSecurity as the whole cluster is configured: defaults, and what is exempt.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const CONFIGURATION: &str = "
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    defaults:
      enforce: baseline
      enforce-version: v1.33
      warn: restricted
    exemptions:
      usernames: [trusted]
      runtimeClasses: [sandboxed]
      namespaces: [free]
";

fn pod(name: &str, spec: &Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"hostNetwork": true, "containers": [{"name": "c", "image": "i"}]},
    });
    for (field, value) in spec.as_object().unwrap() {
        pod["spec"][field] = value.clone();
    }
    pod
}

fn configured() -> Cluster {
    let mut cluster = Cluster::start();
    cluster.stop();
    let file = cluster.dir.path().join("admission.yaml");
    std::fs::write(&file, CONFIGURATION).unwrap();
    cluster.config.admission_control_config_file = Some(file);
    cluster.resume();
    cluster
}

#[test]
fn defaults_and_exemptions_of_the_cluster() {
    let cluster = configured();
    for name in ["bound", "free", "open"] {
        cluster.kubectl(&["create", "namespace", name]).ok();
        cluster.eventually("a service account", |cluster| {
            let path = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
            cluster.get(&path).0 == 200
        });
    }
    let post =
        |namespace: &str, pod: &Value| cluster.post(&format!("/api/v1/namespaces/{namespace}/pods"), pod);
    let plain = pod("plain", &json!({}));
    let (code, refused) = post("bound", &plain);
    assert_eq!(code, 403);
    assert_eq!(
        refused["message"],
        "pods \"plain\" is forbidden: violates PodSecurity \"baseline:v1.33\": host namespaces (hostNetwork=true)"
    );
    // A label counts more than the default.
    let label = "pod-security.kubernetes.io/enforce=privileged";
    cluster.kubectl(&["label", "namespace", "open", label]).ok();
    assert_eq!(post("open", &plain).0, 201);

    // What is exempt: the namespace, the runtime class, the user.
    assert_eq!(post("free", &plain).0, 201);
    let class = json!({
        "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "sandboxed"}, "handler": "x",
    });
    assert_eq!(cluster.post("/apis/node.k8s.io/v1/runtimeclasses", &class).0, 201);
    assert_eq!(
        post(
            "bound",
            &pod("of-class", &json!({"runtimeClassName": "sandboxed"}))
        )
        .0,
        201
    );
    let as_user = |user: &str, name: &str| {
        let text = pod(name, &json!({})).to_string();
        cluster.kubectl_with(
            &[
                "--as",
                user,
                "--as-group",
                "system:masters",
                "-n",
                "bound",
                "create",
                "-f",
                "-",
            ],
            &text,
        )
    };
    assert!(
        as_user("other", "by-other")
            .failed()
            .contains("violates PodSecurity")
    );
    as_user("trusted", "by-trusted").ok();

    // Warnings: of the default for a template, and of labels that have no effect.
    let deployment = ["-n", "bound", "create", "deployment", "d", "--image=i"];
    let warned = cluster.kubectl(&deployment).err;
    assert!(
        warned.contains("would violate PodSecurity \"restricted:latest\""),
        "{warned}"
    );
    let deployment = ["-n", "free", "create", "deployment", "d", "--image=i"];
    assert_eq!(cluster.kubectl(&deployment).err, "");
    let label = |value: &str| {
        let label = format!("pod-security.kubernetes.io/enforce={value}");
        cluster
            .kubectl(&["label", "--overwrite", "namespace", "free", &label])
            .err
    };
    assert_eq!(
        label("restricted"),
        "Warning: namespace \"free\" is exempt from Pod Security, and the policy (enforce=restricted:v1.33) will be ignored\n"
    );
    assert_eq!(label("privileged"), "");
    let manifest = "{apiVersion: v1, kind: Namespace, metadata: {name: bound, labels: \
                    {pod-security.kubernetes.io/enforce: restricted}}}";
    let stricter = cluster.kubectl_with(&["apply", "-f", "-"], manifest).err;
    assert!(
        stricter.contains("existing pods in namespace \"bound\" violate the new PodSecurity enforce level \"restricted:v1.33\"")
            && stricter.contains("by-trusted: host namespaces")
            && !stricter.contains("of-class"),
        "{stricter}"
    );
}

#[test]
fn a_wrong_configuration_ends_the_start() {
    let mut cluster = Cluster::start();
    cluster.stop();
    let file = cluster.dir.path().join("admission.yaml");
    std::fs::write(&file, CONFIGURATION.replace("[free]", "[Free]")).unwrap();
    let mut config = cluster.config.clone();
    config.admission_control_config_file = Some(file);
    let error = crate::cluster::runtime()
        .block_on(keelson_control::run(config, std::future::pending()))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(
            "configuration: couldn't init admission plugin \"PodSecurity\": exemptions.namespaces[0]: Invalid value: \
             \"Free\": a lowercase RFC 1123 label"
        ),
        "{error}"
    );
}
