//! User namespaces: made, joined, and that of the caller.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::json;

use crate::holder::Holder;
use crate::support::{Bench, is_ours};

fn map(first: u32) -> serde_json::Value {
    json!([{"containerID": 0, "hostID": first, "size": 65536}])
}

fn with_user_namespace(script: &str) -> Bench {
    let mut bench = Bench::script(script);
    bench.namespace("user", None);
    bench.config["linux"]["uidMappings"] = map(100_000);
    bench.config["linux"]["gidMappings"] = map(100_000);
    bench.owned_by(100_000);
    bench
}

#[test]
fn a_user_namespace_has_its_ids() {
    let bench = with_user_namespace(
        "id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '; cat /proc/self/setgroups; touch /made; \
         echo x >/dev/null && test -c /dev/zero && echo devices; grep CapEff /proc/self/status; hostname",
    );
    let (code, output) = bench.run();
    assert_eq!(code, 0, "{output}");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..2], ["0", "0"], "{output}");
    assert!(
        lines[2..4].iter().all(|line| line.trim() == "0 100000 65536"),
        "{output}"
    );
    assert_eq!(
        lines[4..],
        ["allow", "devices", "CapEff:\t0000000020000420", "keelson"],
        "{output}"
    );
    assert_eq!(fs::metadata(bench.path("rootfs/made")).unwrap().uid(), 100_000);
}

#[test]
fn a_user_namespace_and_another_user() {
    let mut bench = with_user_namespace("id; mkdir /tmp/x 2>&1 || echo refused");
    bench.config["process"]["user"] = json!({"uid": 1000, "gid": 1000, "additionalGids": [10]});
    let (_, output) = bench.run();
    assert!(
        output.contains("uid=1000(bob) gid=1000(bob) groups=10(wheel)") && output.ends_with("refused\n"),
        "{output}"
    );
}

#[test]
fn create_start_and_exec_with_a_user_namespace() {
    let bench = with_user_namespace("sleep 1000");
    bench.start();
    assert_eq!(bench.status(), "running");
    let text = bench.ok(&[
        "exec",
        &bench.id,
        "sh",
        "-c",
        "id -u; readlink /proc/self/ns/user; touch /made",
    ]);
    let inside = fs::read_link(format!("/proc/{}/ns/user", bench.pid())).unwrap();
    assert_eq!(text, format!("0\n{}\n", inside.display()));
    assert_eq!(fs::metadata(bench.path("rootfs/made")).unwrap().uid(), 100_000);
    bench.ok(&["kill", &bench.id, "KILL"]);
    bench.wait_for("stopped");
    bench.ok(&["delete", &bench.id]);
}

#[test]
fn a_terminal_in_a_user_namespace() {
    let mut bench = with_user_namespace("tty; test -c /dev/console && echo console >/dev/tty");
    bench.config["process"]["terminal"] = json!(true);
    // devpts takes only groups that there are.
    let output = crate::support::on_a_terminal(&bench);
    assert!(
        output.contains("/dev/pts/0") && output.contains("console"),
        "{output}"
    );
}

#[test]
fn a_user_namespace_is_joined() {
    let holder = Holder::user(100_000);
    let mut bench =
        Bench::script("id -u; readlink /proc/self/ns/user; touch /made; cat /proc/1/comm; hostname");
    bench.namespace("user", Some(&holder.path("user")));
    bench.owned_by(100_000);
    let (code, output) = bench.run();
    assert_eq!(
        (code, output),
        (0, format!("0\n{}\nsh\nkeelson\n", holder.inode("user")))
    );
    assert_eq!(fs::metadata(bench.path("rootfs/made")).unwrap().uid(), 100_000);
}

#[test]
fn namespaces_of_the_host_and_of_a_user_namespace_are_joined_together() {
    let user = Holder::user(100_000);
    let pid = user.0.id().to_string();
    // One network made by the user namespace's root, one UTS namespace by the machine's.
    let inner = Holder::through(&["nsenter", "-t", &pid, "-U", "-S", "0", "-G", "0"], &["--net"]);
    let outer = Holder::new(&["--uts"]);
    let mut bench = Bench::script("for kind in user net uts; do readlink /proc/self/ns/$kind; done");
    bench.config["hostname"] = json!("");
    bench.namespace("user", Some(&user.path("user")));
    bench.namespace("network", Some(&inner.path("net")));
    bench.namespace("uts", Some(&outer.path("uts")));
    bench.owned_by(100_000);
    let (code, output) = bench.run();
    let expected = format!(
        "{}\n{}\n{}\n",
        user.inode("user"),
        inner.inode("net"),
        outer.inode("uts")
    );
    assert_eq!((code, output), (0, expected));
}

#[test]
fn a_network_of_the_host_with_a_new_user_namespace() {
    let holder = Holder::new(&["--net"]);
    let mut bench = with_user_namespace("readlink /proc/self/ns/net; ls -d /sys/class/net/lo");
    bench.namespace("network", Some(&holder.path("net")));
    let (code, output) = bench.run();
    assert_eq!(
        (code, output),
        (0, format!("{}\n/sys/class/net/lo\n", holder.inode("net")))
    );
}

/// As rootless podman calls a runtime: root of a user namespace with some ids, without any right over the host.
#[test]
fn inside_a_user_namespace() {
    let unified = "umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$0\" \"$@\"";
    let holder = Holder::through(&["unshare", "-m", "sh", "-c", unified], &["--user"]);
    holder.map(100_000);
    let pid = holder.0.id().to_string();
    let through = [
        "nsenter", "-t", &pid, "-U", "-m", "-S", "0", "-G", "0", "unshare", "-m",
    ]
    .map(str::to_owned);
    let mut bench = Bench::script(
        "id -u; touch /made; echo x >/dev/null && test -c /dev/urandom && echo devices; ls -d /sys/class /proc/self; \
         grep CapEff /proc/self/status",
    );
    if is_ours() {
        bench.config["process"]["oomScoreAdj"] = json!(-500); // the peers fail where it cannot be lowered
    }
    if let Some(linux) = bench.config["linux"].as_object_mut() {
        linux.remove("cgroupsPath"); // as podman leaves it to the runtime without a manager
        linux.remove("resources");
    }
    bench.owned_by(100_000);
    bench.through = through.to_vec();
    let (code, output) = bench.run();
    assert_eq!(
        (code, output.as_str()),
        (
            0,
            "0\ndevices\n/proc/self\n/sys/class\nCapEff:\t0000000020000420\n"
        )
    );
    assert_eq!(fs::metadata(bench.path("rootfs/made")).unwrap().uid(), 100_000);
    // And a user namespace below it.
    bench.namespace("user", None);
    bench.config["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 0, "size": 1000}]);
    bench.config["linux"]["gidMappings"] = json!([{"containerID": 0, "hostID": 0, "size": 1000}]);
    bench.config["process"]["args"] = json!(["cat", "/proc/self/uid_map"]);
    let (code, output) = bench.run();
    assert!(
        code == 0 && output.split_whitespace().eq(["0", "0", "1000"]),
        "{code} {output}"
    );
}

/// Without root at all: the runtime's caller is the container's root.
#[test]
fn called_by_a_user() {
    let mut bench = Bench::script(
        "id -u; cat /proc/self/uid_map /proc/self/setgroups | tr -s ' '; touch /made; echo x >/dev/null && echo devices",
    );
    bench.namespace("user", None);
    for ids in ["uidMappings", "gidMappings"] {
        bench.config["linux"][ids] = json!([{"containerID": 0, "hostID": 1234, "size": 1}]);
    }
    if let Some(linux) = bench.config["linux"].as_object_mut() {
        linux.remove("cgroupsPath");
        linux.remove("resources");
    }
    // Group 5, which devpts wants, is not there.
    for mount in bench.config["mounts"].as_array_mut().unwrap() {
        if let Some(options) = mount["options"].as_array_mut() {
            options.retain(|option| option != "gid=5");
        }
    }
    fs::write(bench.path("config.json"), bench.config.to_string()).unwrap();
    bench.owned_by(1234);
    bench.through = ["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups"]
        .map(str::to_owned)
        .to_vec();
    if crate::support::is_crun() {
        return; // what hides the second cgroup hierarchy from it here takes root
    }
    let (code, output) = bench.run();
    let words: Vec<&str> = output.split_whitespace().collect();
    assert_eq!((code, words), (0, vec!["0", "0", "1234", "1", "deny", "devices"]));
    assert_eq!(fs::metadata(bench.path("rootfs/made")).unwrap().uid(), 1234);
    bench.config["process"]["args"] = json!(["sleep", "1000"]);
    bench.owned_by(1234);
    fs::write(bench.path("out"), "").unwrap();
    fs::write(bench.path("pid"), "").unwrap();
    bench.owned_by(1234);
    bench.start();
    assert_eq!(
        bench.ok(&["exec", &bench.id, "sh", "-c", "id -u; cat /proc/1/comm"]),
        "0\nsleep\n"
    );
    bench.ok(&["delete", "--force", &bench.id]);
    // Other ids take help that an unprivileged user has to have been given.
    bench.config["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
    let (code, output) = bench.run();
    assert!(code != 0, "{output}");
}
