//! `/proc/PID/exe` of the runtime's processes (CVE-2019-5736): nothing that a container can see of them leads to a file
//! of the host that it could overwrite.

use std::fs;
use std::path::Path;
use std::process::Command;

use keelson_runtime::node::*;

use crate::bundle::Bundle;
use crate::payload;
use crate::runtimes::{Runtime, attack};
use crate::support::Node;

/// A container whose first process lurks, with every capability that could help it.
fn lurking(runtime: &Runtime) -> Option<Bundle> {
    let lurker = payload::compile("lurker")?;
    let mut bundle = Bundle::new(runtime, &["/lurker", "25"]);
    bundle.install(&lurker, "lurker");
    bundle.script("bin/evil", "#!/proc/self/exe\n");
    let mut capabilities = crate::bundle::DEFAULT_CAPABILITIES.to_vec();
    capabilities.extend(["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]);
    bundle.capabilities(&capabilities);
    Some(bundle)
}

/// Tells the lurker to strike a last time, and returns what it has printed.
fn end(bundle: &Bundle) -> String {
    fs::write(bundle.rootfs("stop"), "").unwrap();
    bundle.wait_for("GONE")
}

/// CVE-2019-5736, during start and exec, with `#!/proc/self/exe` and `/proc/self/exe` as programs.
fn through_proc_exe(runtime: &Runtime) {
    let place = tempfile::tempdir().unwrap();
    let runtime = runtime.copied_to(place.path());
    let before = fs::read(&runtime.program).unwrap();
    let Some(bundle) = lurking(&runtime) else { return };
    assert!(bundle.start().ok());
    bundle.wait_for("LURKING");
    for _ in 0..20 {
        for program in ["/bin/evil", "/proc/self/exe", "/bin/true"] {
            bundle.exec(&[], &[program]);
        }
    }
    // Started beside it, in its process namespace.
    let mut beside = Bundle::new(&runtime, &["/bin/evil"]);
    beside.script("bin/evil", "#!/proc/self/exe\n");
    for namespace in beside.config["linux"]["namespaces"].as_array_mut().unwrap() {
        if namespace["type"] == "pid" {
            namespace["path"] = format!("/proc/{}/ns/pid", bundle.pid()).into();
        }
    }
    for program in ["/bin/evil", "/proc/self/exe", "/bin/true"] {
        beside.config["process"]["args"] = serde_json::json!([program]);
        for _ in 0..5 {
            beside.run();
        }
    }
    let printed = end(&bundle);
    println!("{printed}");
    assert!(
        fs::read(&runtime.program).unwrap() == before,
        "the runtime's file was overwritten: {printed}"
    );
    assert!(
        !printed.contains("WROTE"),
        "something of the runtime's was overwritten: {printed}"
    );
}
attack!(through_proc_exe);

/// CVE-2016-9962: what joins a container must not be, even for a moment, a process in it that still has the host's files
/// behind its root, directory or descriptors.
fn join_under_watch(runtime: &Runtime, capabilities: &[&str]) {
    let Some(bundle) = reaching(runtime, capabilities) else {
        return;
    };
    let mut done = 0;
    for _ in 0..200 {
        done += usize::from(bundle.exec(&[], &["/bin/true"]).ok());
    }
    // Ours are not to be disturbed either. Of crun's one has failed in a long run; most must run, or nothing was tried.
    assert!(
        done == 200 || (done > 150 && !runtime.ours),
        "only {done} of 200 commands ran"
    );
    let printed = end(&bundle);
    assert!(!printed.contains("REACHED"), "{printed}");
}

/// A container with default capabilities cannot look there anyway.
fn through_proc_root(runtime: &Runtime) {
    join_under_watch(runtime, &[]);
}
attack!(through_proc_root);

/// One that may trace processes sees all there is.
fn through_proc_root_by_a_tracer(runtime: &Runtime) {
    join_under_watch(runtime, &["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]);
}
attack!(through_proc_root_by_a_tracer);

/// A container that looks for the treasure behind every process that it sees.
fn reaching(runtime: &Runtime, capabilities: &[&str]) -> Option<Bundle> {
    let lurker = payload::compile("lurker")?;
    let mut bundle = Bundle::new(runtime, &["/lurker", "25", ""]);
    bundle.install(&lurker, "lurker");
    bundle.config["process"]["args"][2] = bundle.treasure.file("witness").to_str().unwrap().into();
    let mut all = crate::bundle::DEFAULT_CAPABILITIES.to_vec();
    all.extend(capabilities);
    bundle.capabilities(&all);
    assert!(bundle.start().ok());
    bundle.wait_for("LURKING");
    Some(bundle)
}

/// It does find it behind a process of the host that is put into its process namespace, if it may look.
#[test]
fn control_of_proc_root() {
    let Some(bundle) = reaching(&Runtime::keelson(), &["CAP_SYS_PTRACE"]) else {
        return;
    };
    let pid = bundle.pid().to_string();
    let status = Command::new("nsenter")
        .args(["-t", &pid, "-p", "sleep", "0.5"])
        .status();
    assert!(status.unwrap().success());
    let printed = end(&bundle);
    assert!(printed.contains("REACHED by root"), "{printed}");
}

/// The same lurker overwrites a runtime that joins a container as itself.
#[test]
fn control() {
    let Some(bundle) = lurking(&Runtime::keelson()) else {
        return;
    };
    let Some(naive) = payload::compile("naive") else {
        return;
    };
    let program = bundle.path("naive");
    fs::copy(naive, &program).unwrap();
    let before = fs::read(&program).unwrap();
    assert!(bundle.start().ok());
    bundle.wait_for("LURKING");
    for _ in 0..20 {
        let pid = bundle.pid().to_string();
        // It fails to start once it has been overwritten.
        let _ = Command::new(&program).args(["exec", &pid, "/bin/true"]).status();
        if fs::read(&program).unwrap() != before {
            break;
        }
    }
    let printed = end(&bundle);
    assert!(
        printed.contains("WROTE") && fs::read(&program).unwrap() != before,
        "{printed}"
    );
}

/// The same for a pod: its shim, and what it execs, seen from a container that shares the pod's process namespace.
#[test]
fn of_a_pods_shim() {
    let Some(lurker) = payload::compile("lurker") else {
        return;
    };
    let node = Node::new();
    let own = std::env::current_exe().unwrap();
    let before = fs::read(&own).unwrap();
    fs::copy(lurker, node.rootfs.join("lurker")).unwrap();
    fs::write(node.rootfs.join("bin/evil"), "#!/proc/self/exe\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(node.rootfs.join("bin/evil"), mode).unwrap();
    node.runtime
        .create_sandbox(&SandboxSpec {
            share_pid: true,
            ..Node::sandbox("pod")
        })
        .unwrap();
    let lurker = ContainerSpec {
        cap_add: vec!["SYS_PTRACE".into()],
        ..node.container(&["/lurker", "25"])
    };
    node.runtime.create_container("pod", &lurker).unwrap();
    node.runtime.start_container(&lurker.id).unwrap();
    for _ in 0..30 {
        let spec = node.container(&["/bin/evil"]);
        node.runtime.create_container("pod", &spec).unwrap();
        let _ = node.runtime.start_container(&spec.id);
        let exec = ExecSpec {
            args: vec!["/bin/evil".into()],
            ..ExecSpec::default()
        };
        if let Ok(mut session) = node.runtime.exec(&lurker.id, &exec) {
            let _ = session.wait();
        }
        node.runtime.remove_container(&spec.id).unwrap();
    }
    let exec = ExecSpec {
        args: vec!["touch".into(), "/stop".into()],
        ..ExecSpec::default()
    };
    node.runtime.exec(&lurker.id, &exec).unwrap().wait().unwrap();
    node.wait(&lurker.id);
    let log = Node::log(&lurker);
    println!("{log}");
    assert!(log.contains("GONE") && !log.contains("WROTE"), "{log}");
    assert!(fs::read(&own).unwrap() == before);
    assert_eq!(
        node.run_in("pod", &node.shell("exit 3")).0,
        3,
        "the shim's program is whole"
    );
    assert!(Path::new(&own).exists());
}
