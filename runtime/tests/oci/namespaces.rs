//! Namespaces: made, joined, and those that the runtime itself is in.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::support::{Bench, is_ours};

/// A process with namespaces of its own, until dropped.
struct Holder(Child);

impl Holder {
    /// By the options of unshare(1).
    fn new(options: &[&str]) -> Self {
        Self::through(&["env"], options)
    }

    /// As [`Holder::new`], with a command in front.
    fn through(command: &[&str], options: &[&str]) -> Self {
        let child = Command::new(command[0])
            .args(&command[1..])
            .arg("unshare")
            .args(options)
            .args(["sh", "-c", "echo; exec sleep 1000"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut holder = Self(child);
        std::io::Read::read_exact(holder.0.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        holder
    }

    /// A user namespace whose ids begin at `first` outside.
    fn user(first: u32) -> Self {
        let holder = Self::new(&["--user"]);
        holder.map(first);
        holder
    }

    fn map(&self, first: u32) {
        for file in ["uid_map", "gid_map"] {
            fs::write(
                format!("/proc/{}/{file}", self.0.id()),
                format!("0 {first} 65536"),
            )
            .unwrap();
        }
    }

    fn path(&self, kind: &str) -> String {
        format!("/proc/{}/ns/{kind}", self.0.id())
    }

    fn inode(&self, kind: &str) -> String {
        fs::read_link(self.path(kind))
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

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
fn every_kind_is_made() {
    let kinds = ["pid", "net", "ipc", "uts", "mnt", "cgroup"];
    let bench = Bench::script(&format!(
        "for kind in {}; do readlink /proc/self/ns/$kind; done",
        kinds.join(" ")
    ));
    let (code, output) = bench.run();
    assert_eq!(code, 0, "{output}");
    for (kind, inside) in kinds.iter().zip(output.lines()) {
        let ours = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert!(
            inside.starts_with(kind) && ours.to_str() != Some(inside),
            "{inside}"
        );
    }
}

#[test]
fn those_not_listed_are_the_hosts() {
    let mut bench = Bench::script("for kind in net pid ipc; do readlink /proc/self/ns/$kind; done");
    for kind in ["network", "pid", "ipc"] {
        bench.without_namespace(kind);
    }
    let (code, output) = bench.run();
    let own = |kind: &str| {
        fs::read_link(format!("/proc/self/ns/{kind}"))
            .unwrap()
            .display()
            .to_string()
    };
    assert_eq!(
        (code, output),
        (0, format!("{}\n{}\n{}\n", own("net"), own("pid"), own("ipc")))
    );
}

#[test]
fn existing_ones_are_joined() {
    let holder = Holder::new(&["--net", "--ipc", "--uts"]);
    let mut bench = Bench::script("for kind in net ipc uts; do readlink /proc/self/ns/$kind; done; hostname");
    for (kind, file) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        bench.namespace(kind, Some(&holder.path(file)));
    }
    let (code, output) = bench.run();
    let expected = ["net", "ipc", "uts"].map(|kind| holder.inode(kind)).join("\n");
    assert_eq!((code, output), (0, format!("{expected}\nkeelson\n")));
}

#[test]
fn a_process_namespace_is_joined() {
    let first = Bench::new(&["sleep", "1000"]);
    first.start();
    let path = format!("/proc/{}/ns/pid", first.pid());
    let mut bench = Bench::script("readlink /proc/self/ns/pid; ps");
    bench.namespace("pid", Some(&path));
    let (code, output) = bench.run();
    let inode = fs::read_link(&path).unwrap();
    assert!(
        code == 0 && output.starts_with(inode.to_str().unwrap()) && output.contains("sleep 1000"),
        "{output}"
    );
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

#[test]
fn a_time_namespace_has_its_clocks() {
    if !is_ours() {
        return; // crun 1.8 and runc 1.1 know no time namespaces
    }
    let mut bench = Bench::script(
        "cat /proc/self/timens_offsets | tr -s ' '; cat /proc/uptime; readlink /proc/self/ns/time",
    );
    bench.namespace("time", None);
    bench.config["linux"]["timeOffsets"] =
        json!({"monotonic": {"secs": 86_400, "nanosecs": 5}, "boottime": {"secs": 172_800}});
    let (code, output) = bench.run();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(code, 0, "{output}");
    assert_eq!((lines[0], lines[1]), ("monotonic 86400 5", "boottime 172800 0"));
    let uptime = |text: &str| text.split('.').next().unwrap().parse::<u64>().unwrap();
    let here = uptime(&fs::read_to_string("/proc/uptime").unwrap());
    assert!(
        (172_790..172_810).contains(&(uptime(lines[2]) - here)),
        "{output} {here}"
    );
    assert_ne!(
        lines[3],
        fs::read_link("/proc/self/ns/time").unwrap().to_str().unwrap()
    );

    let bench = {
        let mut bench = Bench::new(&["sleep", "1000"]);
        bench.namespace("time", None);
        bench.config["linux"]["timeOffsets"] = json!({"boottime": {"secs": 172_800}});
        bench
    };
    bench.start();
    let inside = uptime(&bench.ok(&["exec", &bench.id, "cat", "/proc/uptime"]));
    assert!(inside > here + 172_000, "exec joins it: {inside}");
    let path = format!("/proc/{}/ns/time", bench.pid());
    let mut other = Bench::script("cat /proc/uptime");
    other.namespace("time", Some(&path));
    assert!(uptime(&other.run().1) > here + 172_000, "so does a container");
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
    // Other ids take help that an unprivileged user has to have been given.
    bench.config["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
    let (code, output) = bench.run();
    assert!(code != 0, "{output}");
}

#[test]
fn a_mount_namespace_is_joined() {
    let holder = Holder::new(&["--mount"]);
    let mut bench = Bench::script("readlink /proc/self/ns/mnt; ls -d /bin/sh /etc/debian_version");
    bench.namespace("mount", Some(&holder.path("mnt")));
    for list in ["maskedPaths", "readonlyPaths"] {
        bench.config["linux"][list] = json!([]);
    }
    let before = fs::read_to_string("/proc/self/mounts").unwrap();
    let (_, output) = bench.run();
    assert!(output.starts_with(&holder.inode("mnt")), "{output}");
    assert!(
        output.contains("/bin/sh\n") && output.contains("debian_version: No such file"),
        "{output}"
    );
    assert_eq!(fs::read_to_string("/proc/self/mounts").unwrap(), before);
}
