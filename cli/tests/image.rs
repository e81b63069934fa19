//! `keelson image` as scripts use it: output, exit status, files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A data directory of our own, and a bundle to import.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let bundle = place.path("bundle");
        fs::create_dir_all(bundle.join("rootfs/bin")).unwrap();
        fs::write(bundle.join("rootfs/bin/sh"), "shell").unwrap();
        let config =
            r#"{"ociVersion":"1.0.2","root":{"path":"rootfs"},"process":{"args":["/bin/sh"],"cwd":"/"}}"#;
        fs::write(bundle.join("config.json"), config).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keelson"));
        command
            .arg("image")
            .args(arguments)
            .arg("--data-dir")
            .arg(self.path("data"))
            .env("HOME", self.path("home"))
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("DOCKER_CONFIG")
            .env_remove("REGISTRY_AUTH_FILE")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command prints that must succeed.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// What a command complains of that must fail with this status.
    fn fails(&self, arguments: &[&str], status: i32) -> String {
        let output = self.run(arguments);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {complaint}");
        complaint
    }

    fn import(&self, name: &str) -> String {
        let bundle = self.path("bundle");
        let said = self.ok(&["import", bundle.to_str().unwrap(), "--tag", name]);
        said.trim().rsplit_once(' ').unwrap().1.to_owned()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn lists_and_inspection() {
    let place = Place::new();
    assert_eq!(
        place.ok(&["ls"]),
        "REPOSITORY   TAG   IMAGE ID   CREATED   SIZE\n"
    );
    assert_eq!(
        json(&place.ok(&["ls", "--format", "json"])),
        Value::Array(Vec::new())
    );
    let id = place.import("busybox:1.36");
    place.ok(&["tag", "busybox:1.36", "localhost:5000/tools/sh:v2"]);
    let short = &id[7..19];
    let table = place.ok(&["ls"]);
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]);
    assert_eq!(lines[1][..3], ["docker.io/library/busybox", "1.36", short]);
    assert_eq!(lines[2][..3], ["localhost:5000/tools/sh", "v2", short]);
    assert_eq!(place.ok(&["ls", "-q"]), format!("{short}\n"));
    assert_eq!(place.ok(&["ls", "-q", "--no-trunc"]), format!("{id}\n"));
    assert_eq!(place.ok(&["ls", "-q", "other"]), "");
    assert_eq!(place.ok(&["ls", "-q", "busybox"]), format!("{short}\n"));
    assert!(place.ok(&["ls", "--digests"]).contains("sha256:"));
    let listed = json(&place.ok(&["ls", "--format", "json"]));
    assert_eq!(listed[0]["id"], id);
    assert_eq!(listed[0]["repoTags"].as_array().unwrap().len(), 2);
    assert!(listed[0]["size"].as_u64().unwrap() > 0);

    let inspected = json(&place.ok(&["inspect", "busybox:1.36", short]));
    assert_eq!(inspected.as_array().unwrap().len(), 2);
    assert_eq!(inspected[0]["Id"], id);
    assert_eq!(inspected[0]["Config"]["Cmd"][0], "/bin/sh");
    assert_eq!(
        inspected[0]["Layers"][0]["DiffID"],
        inspected[0]["RootFS"]["Layers"][0]
    );
    assert!(
        Path::new(inspected[0]["Layers"][0]["Path"].as_str().unwrap())
            .join("bin/sh")
            .is_file()
    );
    let output = place.run(&["inspect", "absent", "busybox:1.36"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("image \"absent\" not found"));
    assert_eq!(json(&text(&output.stdout)).as_array().unwrap().len(), 1);
}

#[test]
fn removal_says_what_it_did() {
    let place = Place::new();
    let id = place.import("app:1");
    place.ok(&["tag", "app:1", "app:2"]);
    assert_eq!(place.ok(&["rm", "app:1"]), "Untagged: docker.io/library/app:1\n");
    assert_eq!(
        place.ok(&["rm", "app:2"]),
        format!("Untagged: docker.io/library/app:2\nDeleted: {id}\n")
    );
    assert!(
        place
            .fails(&["rm", "app:1"], 1)
            .contains("image \"app:1\" not found")
    );
    assert_eq!(place.ok(&["rm", "--force", "app:1"]), "");
    assert!(place.fails(&["rm"], 2).contains("required"));
    // The one that is there goes, whatever the others are.
    place.import("app:3");
    place.fails(&["rm", "absent", "app:3", "A B"], 1);
    assert_eq!(place.ok(&["ls", "-q"]), "");
    // An image whose name went to another.
    place.import("app:4");
    fs::write(place.path("bundle/rootfs/bin/sh"), "other").unwrap();
    place.import("app:4");
    assert!(place.ok(&["ls"]).contains("<none>"));
    let said = place.ok(&["gc", "--dangling", "--dry-run"]);
    assert!(
        said.contains("Deleted: sha256:") && said.contains("Reclaimable space: "),
        "{said}"
    );
    assert!(place.ok(&["gc"]).starts_with("Reclaimed space: 0B"));
    assert!(place.ok(&["gc", "--dangling"]).contains("Reclaimed space: "));
    assert_eq!(place.ok(&["ls", "-q"]).lines().count(), 1);
    place.ok(&["gc", "--all"]);
    assert_eq!(place.ok(&["ls", "-q"]), "");
}

#[test]
fn archives_through_files_and_pipes() {
    let place = Place::new();
    let id = place.import("app:1");
    let file = place.path("app.tar");
    for format in ["oci-archive", "docker-archive"] {
        place.ok(&[
            "export",
            "app:1",
            "-o",
            file.to_str().unwrap(),
            "--format",
            format,
        ]);
        let piped = place.run(&["export", "app:1", "--format", format]);
        assert_eq!(piped.stdout, fs::read(&file).unwrap(), "{format}");
        place.ok(&["rm", "app:1"]);
        let mut child = place
            .command(&["import", "-"])
            .stdin(fs::File::open(&file).unwrap())
            .spawn()
            .unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(
            place.ok(&["ls", "-q", "--no-trunc"]),
            format!("{id}\n"),
            "{format}"
        );
    }
    // No half archive is left under its name.
    assert!(
        place
            .fails(&["export", "absent", "-o", file.to_str().unwrap()], 1)
            .contains("not found")
    );
    fs::remove_file(&file).unwrap();
    place.fails(&["export", "absent", "-o", file.to_str().unwrap()], 1);
    assert!(!file.exists());
    assert!(
        place
            .fails(&["import", "/no/such/file"], 1)
            .contains("/no/such/file")
    );
    let bundle = place.path("bundle");
    assert!(
        place
            .fails(&["import", bundle.to_str().unwrap()], 1)
            .contains("give a name")
    );
}

#[test]
fn damage_is_an_exit_status() {
    let place = Place::new();
    place.import("app:1");
    assert_eq!(place.ok(&["check"]), "all blobs are what their digests say\n");
    let layer = json(&place.ok(&["inspect", "app:1"]))[0]["Layers"][0]["Digest"]
        .as_str()
        .unwrap()
        .to_owned();
    fs::write(
        place.path("data/images/blobs/sha256").join(&layer[7..]),
        "damaged",
    )
    .unwrap();
    let output = place.run(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(
        said.contains(&layer) && said.contains("is damaged") && said.contains("check --repair"),
        "{said}"
    );
    let said = text(&place.run(&["check", "--repair"]).stdout);
    assert!(
        said.contains("not repaired") && said.contains("import docker.io/library/app:1 again"),
        "{said}"
    );
    place.import("app:1");
    place.ok(&["check"]);
}

/// Registries that are not there, options that make no sense, files with credentials.
#[test]
fn registry_options() {
    let place = Place::new();
    place.import("app:1");
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let name = format!("127.0.0.1:{port}/app:1");
    assert!(place.fails(&["pull", &name], 1).contains("Connection refused"));
    assert!(
        place
            .fails(&["push", "app:1", &name], 1)
            .contains("failed to push image")
    );
    assert!(place.fails(&["push", "absent", &name], 1).contains("not found"));
    assert!(
        place
            .fails(&["pull", "A B"], 1)
            .contains("invalid reference format")
    );
    assert!(
        place
            .fails(&["pull", &name, "--creds", "nobody"], 1)
            .contains("USER:PASSWORD")
    );
    place.fails(
        &[
            "pull",
            &name,
            "--creds",
            "a:b",
            "--username",
            "c",
            "--password-stdin",
        ],
        2,
    );
    place.fails(&["pull", &name, "--tls-verify=maybe"], 2);
    place.fails(&["pull", &name, "--platform", "no such thing"], 2);
    assert!(
        place
            .fails(&["pull", &name, "--authfile", "/no/such/file"], 1)
            .contains("/no/such/file")
    );
    fs::create_dir_all(place.path("home/.docker")).unwrap();
    fs::write(place.path("home/.docker/config.json"), "{ damaged").unwrap();
    let complaint = place.fails(&["pull", &name], 1);
    assert!(
        complaint.contains("docker configuration is damaged"),
        "{complaint}"
    );
    fs::write(place.path("home/.docker/config.json"), r#"{"credsStore":"pass"}"#).unwrap();
    let complaint = place.fails(&["pull", &name], 1);
    assert!(complaint.contains("docker-credential-pass"), "{complaint}");
}
