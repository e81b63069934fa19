//! Secrets encrypted at rest: what lies on the disk, changes of keys, and what cannot be decrypted.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::cluster::Cluster;

const SECRETS: &str = "/api/v1/namespaces/default/secrets";
/// A password as it is, and as it lies in a Secret.
const PASSWORD: (&str, &str) = ("correct horse battery", "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5");

fn secret(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {"password": PASSWORD.1}})
}

/// Whether some text is anywhere in the files of the store: ours, or etcd's log and database.
fn on_disk(cluster: &Cluster, text: &str) -> bool {
    // Without a word of files that etcd has renamed meanwhile.
    let grep = Command::new("grep")
        .args(["-rqsaF", "-e", text])
        .arg(cluster.store_dir())
        .status();
    grep.unwrap().success()
}

/// Writes a configuration for Secrets with these providers, in YAML's flow form.
fn configure(cluster: &mut Cluster, providers: &str) -> PathBuf {
    let path = cluster.dir.path().join("encryption.yaml");
    let text = format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  \
         providers: {providers}\n"
    );
    std::fs::write(&path, text).unwrap();
    cluster.config.encryption.file = Some(path.clone());
    path
}

/// A provider in YAML's flow form, with 32-byte keys that are one letter repeated.
fn provider(name: &str, keys: &[char]) -> String {
    use base64::Engine as _;
    let keys: Vec<String> = keys
        .iter()
        .map(|letter| {
            let secret = base64::engine::general_purpose::STANDARD.encode([*letter as u8; 32]);
            format!("{{name: {letter}, secret: \"{secret}\"}}")
        })
        .collect();
    format!("{{{name}: {{keys: [{}]}}}}", keys.join(", "))
}

#[test]
fn secrets_are_never_on_the_disk_and_everything_else_is_as_before() {
    use std::os::unix::fs::PermissionsExt as _;

    let mut cluster = Cluster::start();
    let key = cluster.config.pki_dir.join("encryption.yaml");
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (code, created) = cluster.post(SECRETS, &secret("a"));
    assert_eq!(code, 201, "{created}");
    let map = crate::cluster::config_map("marker", "this lies on the disk");
    assert_eq!(cluster.post(crate::cluster::MAPS, &map).0, 201);
    cluster.kubectl(&["label", "secret", "a", "color=blue"]).ok();
    cluster
        .kubectl(&[
            "create",
            "secret",
            "generic",
            "b",
            "--from-literal=p=another password",
        ])
        .ok();
    cluster.kubectl(&["delete", "secret", "b"]).ok();
    assert!(
        on_disk(&cluster, "this lies on the disk"),
        "the test looks at the wrong file"
    );
    assert!(on_disk(&cluster, "k8s:enc:secretbox:v1:key1:"));
    for text in [
        PASSWORD.0,
        PASSWORD.1,
        "another password",
        "YW5vdGhlciBwYXNzd29yZA",
    ] {
        assert!(!on_disk(&cluster, text), "{text}");
    }
    let (_, before) = cluster.get(&format!("{SECRETS}/a"));
    assert_eq!(before["data"]["password"], PASSWORD.1);
    cluster.stop();
    cluster.resume();
    assert_eq!(cluster.get(&format!("{SECRETS}/a")).1, before);
    // The key made at first start is kept, and a store without it tells what is missing.
    assert!(std::fs::read_to_string(&key).unwrap().contains("secretbox"));
}

#[test]
fn a_key_is_changed_by_adding_one_and_replacing_all_secrets() {
    let mut cluster = Cluster::start();
    cluster.stop();
    configure(
        &mut cluster,
        &format!("[{}, {{identity: {{}}}}]", provider("aescbc", &['A'])),
    );
    cluster.resume();
    assert_eq!(cluster.post(SECRETS, &secret("a")).0, 201);
    assert!(on_disk(&cluster, "k8s:enc:aescbc:v1:A:"));
    cluster.stop();
    configure(&mut cluster, &format!("[{}]", provider("aescbc", &['B', 'A'])));
    cluster.resume();
    let (_, old) = cluster.get(&format!("{SECRETS}/a"));
    assert_eq!(old["data"]["password"], PASSWORD.1);
    let all = cluster.kubectl(&["get", "secrets", "-A", "-o", "json"]).ok();
    cluster.kubectl_with(&["replace", "-f", "-"], &all).ok();
    assert!(on_disk(&cluster, "k8s:enc:aescbc:v1:B:"));
    let (_, new) = cluster.get(&format!("{SECRETS}/a"));
    let version = |object: &Value| {
        object["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    assert!(
        version(&new) > version(&old),
        "an object under the old key was not written again"
    );
    // Once written it is like any other: an update without a change is none.
    let (_, again) = cluster.put(&format!("{SECRETS}/a"), &new);
    assert_eq!(version(&again), version(&new));
    cluster.stop();
    configure(&mut cluster, &format!("[{}]", provider("aescbc", &['B'])));
    cluster.resume();
    assert_eq!(
        cluster.get(&format!("{SECRETS}/a")).1["data"]["password"],
        PASSWORD.1
    );
}

#[test]
fn what_cannot_be_decrypted_is_an_error_and_is_not_lost() {
    let mut cluster = Cluster::start();
    cluster.stop();
    configure(&mut cluster, &format!("[{}]", provider("aesgcm", &['A'])));
    cluster.resume();
    assert_eq!(cluster.post(SECRETS, &secret("a")).0, 201);
    cluster.stop();
    configure(&mut cluster, &format!("[{}]", provider("aesgcm", &['B'])));
    cluster.resume();
    let one = format!("{SECRETS}/a");
    let why = "no matching key was found for the provided AES transformer";
    let failed = |(code, status): (u16, Value)| {
        assert_eq!(
            (code, &status["reason"]),
            (500, &json!("InternalError")),
            "{status}"
        );
        let message = status["message"].as_str().unwrap();
        assert!(message.contains(why), "{message}");
        assert!(message.contains("/registry/secrets/default/a"), "{message}");
    };
    failed(cluster.get(&one));
    failed(cluster.get(SECRETS));
    failed(cluster.get("/api/v1/secrets"));
    failed(cluster.get(&format!("{SECRETS}?fieldSelector=metadata.name%3Da")));
    // Its place is taken, whatever it is.
    for query in ["", "?dryRun=All"] {
        let (code, status) = cluster.post(&format!("{SECRETS}{query}"), &secret("a"));
        assert_eq!(
            (code, &status["reason"]),
            (409, &json!("AlreadyExists")),
            "{status}"
        );
    }
    let apply = format!("{one}?fieldManager=test");
    failed(cluster.patch(&apply, "apply-patch+yaml", &secret("a")));
    failed(cluster.put(&one, &secret("a")));
    failed(cluster.patch(&one, "merge-patch+json", &json!({"data": {"x": "eA=="}})));
    failed(cluster.delete(&one, &Value::Null));
    failed(cluster.delete(SECRETS, &Value::Null));
    // Others go on.
    assert_eq!(cluster.post(SECRETS, &secret("b")).0, 201);
    assert_eq!(cluster.get(&format!("{SECRETS}/b")).0, 200);
    assert_eq!(cluster.get("/api/v1/namespaces/kube-system/secrets").0, 200);
    cluster.stop();
    configure(&mut cluster, &format!("[{}]", provider("aesgcm", &['B', 'A'])));
    cluster.resume();
    let (code, found) = cluster.get(&one);
    assert_eq!((code, &found["data"]["password"]), (200, &json!(PASSWORD.1)));
    assert_eq!(cluster.get(SECRETS).1["items"].as_array().unwrap().len(), 2);
}

#[test]
fn a_changed_file_is_followed_and_a_broken_one_ends_the_start() {
    let mut cluster = Cluster::start();
    cluster.stop();
    configure(&mut cluster, &format!("[{}]", provider("secretbox", &['A'])));
    cluster.config.encryption.automatic_reload = true;
    cluster.resume();
    assert_eq!(cluster.post(SECRETS, &secret("a")).0, 201);
    configure(&mut cluster, &format!("[{}]", provider("secretbox", &['B', 'A'])));
    let one = format!("{SECRETS}/a");
    // The object is stale as soon as the file has been read, and an update without a change writes it again.
    cluster.eventually("the new key", |cluster| {
        let (_, object) = cluster.get(&one);
        cluster.put(&one, &object);
        on_disk(cluster, "k8s:enc:secretbox:v1:B:")
    });
    cluster.stop();
    configure(
        &mut cluster,
        "[{kms: {apiVersion: v2, name: x, endpoint: \"unix:///x\"}}]",
    );
    let run = crate::cluster::runtime().block_on(keelson_control::run(cluster.config.clone(), async {}));
    let why = run.unwrap_err().to_string();
    assert!(
        why.contains("key management services are not supported by this API server"),
        "{why}"
    );
}
