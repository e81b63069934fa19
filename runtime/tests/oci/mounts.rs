//! Mounts with their options.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use serde_json::json;

use crate::support::{Bench, is_ours};

/// The options of a mount point, as the container sees them.
fn options<'a>(output: &'a str, target: &str) -> Vec<&'a str> {
    let line = output
        .lines()
        .rev()
        .find(|line| line.split(' ').nth(1) == Some(target));
    line.map_or_else(
        || panic!("{target} not in {output}"),
        |line| line.split(' ').nth(3).unwrap().split(',').collect(),
    )
}

#[test]
fn bind_mounts() {
    let mut bench = Bench::script(
        "cat /in/file /one; touch /in/made; touch /ro/x 2>/dev/null || echo read-only; cat /deep/er/one",
    );
    fs::create_dir(bench.path("source")).unwrap();
    fs::write(bench.path("source/file"), "a file\n").unwrap();
    let source = bench.path("source").display().to_string();
    let file = bench.path("source/file").display().to_string();
    bench.mount("/in", "bind", &source, &["rbind", "rw"]);
    bench.mount("/ro", "none", &source, &["bind", "ro"]);
    bench.mount("/one", "bind", &file, &["bind"]);
    bench.mount("/deep/er/one", "bind", "source/file", &["bind"]); // relative to the bundle
    let (code, output) = bench.run();
    assert_eq!(
        (code, output.as_str()),
        (0, "a file\na file\nread-only\na file\n")
    );
    assert!(bench.path("source/made").exists());
}

#[test]
fn attributes() {
    let mut bench = Bench::new(&["cat", "/proc/mounts"]);
    let source = bench.path("").display().to_string();
    for (target, list) in [
        ("/a", "bind,ro,nosuid,nodev,noexec"),
        ("/b", "bind,noatime,nodiratime"),
        ("/c", "bind,strictatime"),
    ] {
        bench.mount(target, "bind", &source, &list.split(',').collect::<Vec<_>>());
    }
    bench.mount(
        "/d",
        "tmpfs",
        "tmpfs",
        &["nosuid", "nodev", "noexec", "noatime", "size=64k", "mode=1777"],
    );
    let (code, output) = bench.run();
    assert_eq!(code, 0, "{output}");
    let has = |target, wanted: &[&str]| {
        let found = options(&output, target);
        assert!(
            wanted.iter().all(|option| found.contains(option)),
            "{target}: {found:?}"
        );
    };
    has("/a", &["ro", "nosuid", "nodev", "noexec"]);
    has("/b", &["noatime", "nodiratime"]);
    assert!(!options(&output, "/c").contains(&"relatime"));
    has("/d", &["nosuid", "nodev", "noexec", "noatime", "size=64k"]);
}

#[test]
fn symlinks_are_not_followed_on_nosymfollow() {
    if !is_ours() {
        return; // crun 1.8 and runc 1.1 do not know the option
    }
    let mut bench = Bench::script("cat /in/link 2>/dev/null || echo refused");
    fs::create_dir(bench.path("source")).unwrap();
    symlink("/etc/passwd", bench.path("source/link")).unwrap();
    let source = bench.path("source").display().to_string();
    bench.mount("/in", "bind", &source, &["rbind", "nosymfollow"]);
    assert!(bench.run().1.ends_with("refused\n"));
}

/// A directory with a filesystem mounted in it, until dropped.
struct Mounted(String);

impl Mounted {
    fn new(bench: &Bench, propagation: &str) -> Self {
        let path = bench.path("tree").display().to_string();
        fs::create_dir_all(bench.path("tree")).unwrap();
        let mounted = Self(path);
        mount(&["-t", "tmpfs", "keelson-test", &mounted.0]);
        mount(&[&format!("--make-{propagation}"), &mounted.0]);
        fs::create_dir(format!("{}/sub", mounted.0)).unwrap();
        mount(&["-t", "tmpfs", "keelson-test", &format!("{}/sub", mounted.0)]);
        mounted
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-R", &self.0]).status();
    }
}

fn mount(args: &[&str]) {
    assert!(
        Command::new("mount").args(args).status().unwrap().success(),
        "{args:?}"
    );
}

#[test]
fn recursion() {
    let mut bench = Bench::new(&["cat", "/proc/mounts"]);
    let tree = Mounted::new(&bench, "private");
    for (target, list) in [
        ("/all", "rbind,ro"),
        ("/top", "bind,ro"),
        ("/rro", "rbind,rro,rnosuid,rnodev,rnoexec"),
        ("/back", "rbind,ro,rrw"),
    ] {
        bench.mount(target, "bind", &tree.0, &list.split(',').collect::<Vec<_>>());
    }
    let (code, output) = bench.run();
    assert_eq!(code, 0, "{output}");
    assert!(options(&output, "/all").contains(&"ro") && options(&output, "/all/sub").contains(&"rw"));
    assert!(options(&output, "/top").contains(&"ro") && !output.contains(" /top/sub "));
    for target in ["/rro", "/rro/sub"] {
        for option in ["ro", "nosuid", "nodev", "noexec"] {
            assert!(
                options(&output, target).contains(&option),
                "{target} {option}: {output}"
            );
        }
    }
    assert!(options(&output, "/back/sub").contains(&"rw"));
    if !is_ours() {
        return; // crun 1.8 cannot change access times so: the kernel wants the old mode cleared
    }
    for (option, seen) in [
        ("rnoatime", "noatime"),
        ("rrelatime", "relatime"),
        ("rnodiratime", "nodiratime"),
    ] {
        let mut bench = Bench::new(&["cat", "/proc/mounts"]);
        bench.mount("/in", "bind", &tree.0, &["rbind", option]);
        let (code, output) = bench.run();
        assert!(
            code == 0 && options(&output, "/in/sub").contains(&seen),
            "{option}: {output}"
        );
    }
    let mut bench = Bench::new(&["cat", "/proc/mounts"]);
    bench.mount("/in", "bind", &tree.0, &["rbind", "rstrictatime"]);
    assert!(!options(&bench.run().1, "/in/sub").contains(&"relatime"));
}

#[test]
fn propagation() {
    let mut bench = Bench::new(&["cat", "/proc/self/mountinfo"]);
    let tree = Mounted::new(&bench, "rshared");
    for (target, option) in [
        ("/rprivate", "rprivate"),
        ("/rslave", "rslave"),
        ("/rshared", "rshared"),
        ("/private", "private"),
        ("/unbindable", "unbindable"),
    ] {
        bench.mount(target, "bind", &tree.0, &["rbind", option]);
    }
    let (code, output) = bench.run();
    assert_eq!(code, 0, "{output}");
    // Field 7 on, up to a lone dash: shared:N, master:N, unbindable.
    let tags = |target: &str| {
        let line = output
            .lines()
            .find(|line| line.split(' ').nth(4) == Some(target))
            .unwrap();
        line.split(' ')
            .skip(6)
            .take_while(|field| *field != "-")
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        (tags("/rprivate"), tags("/rprivate/sub")),
        (String::new(), String::new())
    );
    if crate::support::is_crun() {
        return; // it makes everything private first, in the mount namespace that it is given here
    }
    assert_eq!(tags("/unbindable"), "unbindable");
    assert!(tags("/rslave").starts_with("master:") && tags("/rslave/sub").starts_with("master:"));
    assert!(tags("/rshared").starts_with("shared:") && tags("/rshared/sub").starts_with("shared:"));
    assert_eq!(tags("/private"), "");
    assert_ne!(tags("/private/sub"), "", "only the mount itself");
}

#[test]
fn a_shared_mount_goes_back_to_the_host() {
    if crate::support::is_crun() {
        return; // the mount namespace that it is given here has only a copy of the host's mounts
    }
    let mut bench = Bench::script(
        "mkdir /s/new /p/new2 && mount -t tmpfs x /s/new && mount -t tmpfs x /p/new2 && touch /s/new/seen",
    );
    let tree = Mounted::new(&bench, "rshared");
    bench.mount("/s", "bind", &tree.0, &["rbind", "rshared"]);
    bench.mount("/p", "bind", &tree.0, &["rbind", "rprivate"]);
    for set in ["bounding", "effective", "permitted"] {
        bench.config["process"]["capabilities"][set] = json!(["CAP_SYS_ADMIN"]);
    }
    let (code, output) = bench.run();
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    assert_eq!((code, output.as_str()), (0, ""));
    assert!(mounts.contains(&format!("{}/new ", tree.0)) && !mounts.contains(&format!("{}/new2 ", tree.0)));
}

/// Since Linux 6.3.
fn tmpfs_can_map_ids() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut parts = release
        .split(['.', '-'])
        .map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next(), parts.next()) >= (Some(6), Some(3))
}

#[test]
fn id_mapped_mounts() {
    let mut bench = Bench::script("stat -c %u:%g /in/file /in/sub/file; touch /in/made");
    let tree = Mounted::new(&bench, "private");
    for file in ["file", "sub/file"] {
        let path = format!("{}/{file}", tree.0);
        fs::write(&path, "").unwrap();
        std::os::unix::fs::chown(&path, Some(5), Some(6)).unwrap();
    }
    let map = json!([{"containerID": 0, "hostID": 1000, "size": 100}]);
    bench.mount("/in", "bind", &tree.0, &["rbind", "ridmap"]);
    let last = bench.config["mounts"].as_array_mut().unwrap().last_mut().unwrap();
    last["uidMappings"] = map.clone();
    last["gidMappings"] = map;
    if !is_ours() || !tmpfs_can_map_ids() {
        return; // crun 1.8 has its own option syntax ("idmap=..."), runc 1.1 has nothing
    }
    let (code, output) = bench.run();
    assert_eq!(
        (code, output.as_str()),
        (
            1,
            "1005:1006\n1005:1006\ntouch: /in/made: Value too large for defined data type\n"
        )
    );
    let last = bench.config["mounts"].as_array_mut().unwrap().last_mut().unwrap();
    last["options"] = json!(["rbind", "idmap"]);
    assert!(
        bench.run().1.starts_with("1005:1006\n5:6\n"),
        "idmap is for the mount itself"
    );
    let last = bench.config["mounts"].as_array_mut().unwrap().last_mut().unwrap();
    last["options"] = json!(["rbind"]);
    assert!(
        bench.run().1.starts_with("1005:1006\n5:6\n"),
        "mappings alone are enough"
    );
}

#[test]
fn a_mount_with_the_ids_of_the_containers_user_namespace() {
    if !is_ours() || !tmpfs_can_map_ids() {
        return; // as above
    }
    let mut bench = Bench::script("stat -c %u /in/file; touch /in/made && stat -c %u /in/made");
    let tree = Mounted::new(&bench, "private");
    fs::write(format!("{}/file", tree.0), "").unwrap();
    bench.namespace("user", None);
    for ids in ["uidMappings", "gidMappings"] {
        bench.config["linux"][ids] = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    }
    bench.owned_by(100_000);
    std::os::unix::fs::chown(format!("{}/file", tree.0), Some(0), Some(0)).unwrap();
    std::os::unix::fs::chown(&tree.0, Some(0), Some(0)).unwrap();
    bench.mount("/in", "bind", &tree.0, &["bind", "idmap"]);
    assert_eq!(bench.run(), (0, "0\n0\n".to_owned()));
    assert_eq!(
        fs::metadata(format!("{}/made", tree.0)).unwrap().uid(),
        0,
        "on the disk as well"
    );
}

#[test]
fn tmpcopyup() {
    let mut bench = Bench::script(
        "cat /data/file /data/sub/deep; readlink /data/link; stat -c %a:%u /data/file; stat -c %a:%u /data; echo new >/data/sub/deep",
    );
    let data = bench.path("rootfs/data");
    fs::create_dir_all(data.join("sub")).unwrap();
    fs::write(data.join("file"), "one\n").unwrap();
    fs::write(data.join("sub/deep"), "two\n").unwrap();
    symlink("file", data.join("link")).unwrap();
    fs::set_permissions(data.join("file"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o750)).unwrap();
    std::os::unix::fs::chown(data.join("file"), Some(7), None).unwrap();
    bench.mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]);
    for set in ["bounding", "effective", "permitted"] {
        bench.config["process"]["capabilities"][set] = json!(["CAP_DAC_OVERRIDE"]);
    }
    let (code, output) = bench.run();
    let own = if is_ours() { "750:0" } else { "1777:0" }; // crun leaves the mode of the directory itself
    assert_eq!((code, output), (0, format!("one\ntwo\nfile\n640:7\n{own}\n")));
    assert_eq!(
        fs::read_to_string(data.join("sub/deep")).unwrap(),
        "two\n",
        "the original is untouched"
    );
}

#[test]
fn a_wrong_option_is_explained() {
    let mut bench = Bench::new(&["true"]);
    bench.mount("/data", "tmpfs", "tmpfs", &["nonsense=1"]);
    let (code, output) = bench.run();
    assert_ne!(code, 0);
    if is_ours() {
        assert!(
            output.contains("/data") && output.contains("nonsense"),
            "{output}"
        );
    }
}

#[test]
fn remount() {
    if !is_ours() {
        return; // runc takes such an entry, crun 1.8 does not
    }
    let mut bench = Bench::new(&["cat", "/proc/mounts"]);
    bench.mount("/data", "tmpfs", "tmpfs", &["size=64k"]);
    bench.mount(
        "/data",
        "tmpfs",
        "tmpfs",
        &["remount", "ro", "nosuid", "size=128k"],
    );
    let (code, output) = bench.run();
    let found = options(&output, "/data");
    assert!(
        code == 0 && ["ro", "nosuid", "size=128k"].iter().all(|o| found.contains(o)),
        "{found:?}"
    );
}

#[test]
fn a_target_that_is_a_symlink_stays_inside() {
    let mut bench = Bench::script("cat /etc/real/file");
    fs::write(bench.path("source"), "bound\n").unwrap();
    symlink("/etc/real/file", bench.path("rootfs/link")).unwrap();
    fs::create_dir(bench.path("rootfs/etc/real")).unwrap();
    fs::write(bench.path("rootfs/etc/real/file"), "original\n").unwrap();
    let source = bench.path("source").display().to_string();
    bench.mount("/link", "bind", &source, &["bind"]);
    assert_eq!(bench.run(), (0, "bound\n".to_owned()));
}
