//! A user's day with a custom resource and the real kubectl.

use std::time::Duration;

use super::within;
use crate::cluster::Cluster;

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        description: A table of times.
        properties:
          spec:
            type: object
            properties:
              cronSpec: {type: string, description: When it runs., pattern: '^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$'}
              image: {type: string}
              replicas: {type: integer, minimum: 1, maximum: 10, default: 1}
          status:
            type: object
            properties:
              conditions:
                type: array
                items: {type: object, properties: {type: {type: string}, status: {type: string}}}
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Spec, type: string, description: The cron spec, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: Image, type: string, priority: 1, jsonPath: .spec.image}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
"#;

const OBJECT: &str = "
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: mine}
spec: {cronSpec: '* * * * */5', image: my-image}
";

#[test]
fn a_users_day() {
    let cluster = Cluster::start();
    let kubectl = |arguments: &[&str]| cluster.kubectl(arguments);
    let apply = |text: &str| cluster.kubectl_with(&["apply", "-f", "-"], text);
    assert!(
        apply(DEFINITION)
            .ok()
            .contains("crontabs.stable.example.com created")
    );
    kubectl(&[
        "wait",
        "--for=condition=Established",
        "crd/crontabs.stable.example.com",
        "--timeout=5s",
    ])
    .ok();
    assert!(apply(DEFINITION).ok().contains("unchanged"));
    assert_eq!(
        apply(OBJECT).ok().trim(),
        "crontab.stable.example.com/mine created"
    );
    assert_eq!(
        apply(OBJECT).ok().trim(),
        "crontab.stable.example.com/mine unchanged"
    );
    let shown = kubectl(&["get", "ct"]).ok();
    let mut lines = shown.lines();
    let words: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(words, ["NAME", "SPEC", "REPLICAS", "READY", "AGE"], "{shown}");
    assert!(
        lines.next().unwrap().starts_with("mine   * * * * */5   1 "),
        "{shown}"
    );
    let status = r#"{"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#;
    kubectl(&[
        "patch",
        "ct",
        "mine",
        "--subresource=status",
        "--type=merge",
        "-p",
        status,
    ])
    .ok();
    let wide = kubectl(&["get", "crontabs", "-o", "wide"]).ok();
    assert!(
        wide.contains("IMAGE") && wide.contains("my-image") && wide.contains("True"),
        "{wide}"
    );
    assert!(
        kubectl(&["get", "all"])
            .ok()
            .contains("crontab.stable.example.com/mine")
    );
    let text = kubectl(&["explain", "crontab.spec.cronSpec"]).ok();
    assert!(
        text.contains("FIELD: cronSpec <string>") && text.contains("When it runs."),
        "{text}"
    );
    assert!(kubectl(&["explain", "ct"]).ok().contains("A table of times."));
    let changed = OBJECT.replace("my-image", "other");
    let diff = cluster.kubectl_with(&["diff", "-f", "-"], &changed);
    assert!(diff.out.contains("+  image: other"), "{}{}", diff.out, diff.err);
    assert!(apply(&changed).ok().contains("configured"));
    let unknown = apply(&OBJECT.replace("image:", "imgae:")).failed();
    assert!(unknown.contains("unknown field \"spec.imgae\""), "{unknown}");
    let invalid = apply(&OBJECT.replace("* * * * */5", "* * * *")).failed();
    assert!(
        invalid
            .contains("spec.cronSpec in body should match '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$'"),
        "{invalid}"
    );
    let server = cluster.kubectl_with(
        &["apply", "--server-side", "--force-conflicts", "-f", "-"],
        OBJECT,
    );
    assert!(server.ok().contains("serverside-applied"));
    let image = kubectl(&["get", "ct", "mine", "-o", "jsonpath={.spec.image}"]).ok();
    assert_eq!(image, "my-image");
    kubectl(&["label", "ct", "mine", "a=b"]).ok();
    kubectl(&["annotate", "ct", "mine", "note=1"]).ok();
    assert!(
        kubectl(&["get", "ct", "-l", "a=b", "-o", "name"])
            .ok()
            .contains("mine")
    );
    kubectl(&[
        "patch",
        "ct",
        "mine",
        "--type=merge",
        "-p",
        r#"{"spec":{"replicas":2}}"#,
    ])
    .ok();
    kubectl(&[
        "patch",
        "ct",
        "mine",
        "--type=json",
        "-p",
        r#"[{"op":"replace","path":"/spec/replicas","value":3}]"#,
    ])
    .ok();
    kubectl(&["describe", "ct", "mine"]).ok();
    assert_eq!(
        kubectl(&["auth", "can-i", "create", "crontabs.stable.example.com"])
            .ok()
            .trim(),
        "yes"
    );
    let denied = kubectl(&["get", "ct", "--as=somebody"]).failed();
    assert!(
        denied.contains("cannot list resource \"crontabs\" in API group \"stable.example.com\""),
        "{denied}"
    );
    kubectl(&[
        "create",
        "role",
        "reader",
        "--verb=get,list",
        "--resource=crontabs.stable.example.com",
    ])
    .ok();
    kubectl(&[
        "create",
        "rolebinding",
        "reader",
        "--role=reader",
        "--user=somebody",
    ])
    .ok();
    assert!(kubectl(&["get", "ct", "--as=somebody"]).ok().contains("mine"));
    assert!(
        kubectl(&["delete", "ct", "mine", "--as=somebody"])
            .failed()
            .contains("cannot delete")
    );
    // What is stored and not enforced is said.
    let rules = DEFINITION.replace(
        "image: {type: string}",
        "image: {type: string, x-kubernetes-validations: [{rule: 'size(self) > 0'}]}",
    );
    let warned = apply(&rules);
    assert!(
        warned
            .err
            .contains("x-kubernetes-validations are stored, but not enforced yet"),
        "{}",
        warned.err
    );
    assert!(warned.ok().contains("configured"));
    kubectl(&["delete", "ct", "mine"]).ok();
    assert!(apply(OBJECT).ok().contains("created"));
    kubectl(&["delete", "crd", "crontabs.stable.example.com"]).ok();
    within(Duration::from_secs(2), "gone", || {
        cluster.get("/apis/stable.example.com/v1").0 == 404
    });
}
