//! The file survives bad content and bad moments.

use super::*;

fn sample(dir: &Path) -> Cluster {
    Cluster {
        dir: dir.to_owned(),
        node_name: "node".into(),
        node_ip: "10.42.0.1".parse().unwrap(),
        listen: "127.0.0.1:6443".parse().unwrap(),
        ranges: Ranges { network: 42 },
        kubeconfig: dir.join("admin.kubeconfig"),
        etcd: None,
    }
}

#[test]
fn what_is_saved_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = sample(&dir.path().canonicalize().unwrap());
    cluster.save().unwrap();
    assert_eq!(Cluster::load(dir.path()).unwrap(), Some(cluster));
}

#[test]
fn a_damaged_file_is_named_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("cluster.json"), "{\"nodeName\": ").unwrap();
    let message = format!("{:#}", Cluster::load(dir.path()).unwrap_err());
    assert!(message.contains("cluster.json is damaged"), "{message}");
    assert!(message.contains("keelson reset"), "{message}");
}

#[test]
fn an_absent_cluster_names_the_command_that_makes_one() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Cluster::load(dir.path()).unwrap(), None);
    let message = Cluster::require(dir.path()).unwrap_err().to_string();
    assert!(message.contains("keelson up --data-dir"), "{message}");
}

#[test]
fn the_id_is_the_same_through_a_link_and_after_removal() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real");
    let link = dir.path().join("link");
    std::fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let id = id_of(&canonical(&real).unwrap());
    assert_eq!(id_of(&canonical(&link).unwrap()), id);
    std::fs::remove_dir(&real).unwrap();
    assert_eq!(id_of(&canonical(&real).unwrap()), id);
    assert!(id.len() == 6 && id.starts_with("kl"), "{id}");
}

#[test]
fn a_failed_write_keeps_the_old_file_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("is-a-directory");
    std::fs::create_dir(&target).unwrap();
    std::fs::write(target.join("kept"), "x").unwrap();
    assert!(write_atomically(&target, b"new").is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
