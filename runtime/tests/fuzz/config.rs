//! `config.json`: read and compiled into a plan.

use std::path::{Component, Path};

use keelson_runtime::launch::{MountSource, Plan};
use keelson_runtime::plan::{self, OciPaths};
use keelson_runtime::wire::Wire;
use oci_spec::runtime::Spec;

use crate::{driver, json};

fn compile(data: &[u8]) -> Option<(Spec, Plan)> {
    let spec: Spec = serde_json::from_slice(data).ok()?;
    let paths = OciPaths {
        id: "fuzz".to_owned(),
        bundle: "/bundle".into(),
        attach_point: "/run/keelson/x/rootfs".to_owned(),
        cgroup: None,
    };
    let plan = plan::oci(&spec, paths).ok()?;
    Some((spec, plan))
}

/// The plan of a configuration, as a seed for other targets.
pub fn plan(data: &[u8]) -> Option<Plan> {
    compile(data).map(|(_, plan)| plan)
}

/// What holds for every plan, whatever it was made from.
fn check(spec: &Spec, plan: &Plan, size: usize) {
    assert_eq!(
        Plan::from_bytes(&plan.to_bytes()).unwrap(),
        *plan,
        "it arrives as it was sent"
    );
    assert!(
        plan.to_bytes().len() < 64 * size + (1 << 20),
        "it grows without measure"
    );
    assert!(!plan.process.args.is_empty() && plan.process.cwd.starts_with('/'));
    assert!(plan.mounts.iter().all(|mount| mount.target.starts_with('/')));
    assert!(
        plan.namespaces.fresh & libc::CLONE_NEWNS as u64 != 0,
        "its mounts are its own"
    );
    for mount in &plan.mounts {
        if let MountSource::Bind { path, .. } = &mount.source {
            assert!(
                path.starts_with('/'),
                "a source that depends on where we are: {path}"
            );
        }
    }
    for (file, _) in &plan.sysctls {
        let plain = Path::new(file)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        assert!(plain && !file.starts_with('/'), "sysctl {file:?}");
        let known = ["net/", "kernel/", "fs/mqueue/"]
            .iter()
            .any(|prefix| file.starts_with(prefix));
        assert!(known, "sysctl {file:?} of the host");
    }
    // Never more than was asked for.
    let asked = spec.process().as_ref().unwrap();
    let caps = plan.process.capabilities;
    if asked.capabilities().is_none() {
        assert_eq!(caps, keelson_runtime::launch::Capabilities::default());
    }
    let every = plan::ALL_CAPABILITIES;
    for set in [
        caps.bounding,
        caps.effective,
        caps.permitted,
        caps.inheritable,
        caps.ambient,
    ] {
        assert_eq!(set & !every, 0);
    }
    assert_eq!(
        (plan.process.uid, plan.process.gid),
        (asked.user().uid(), asked.user().gid())
    );
    if let Some(filter) = &plan.process.seccomp {
        crate::seccomp::check_program(&filter.program);
    }
}

/// Returns whether it is a configuration that can be carried out.
pub fn target(data: &[u8]) -> bool {
    match compile(data) {
        Some((spec, plan)) => {
            check(&spec, &plan, data.len());
            true
        }
        None => false,
    }
}

#[test]
fn fuzz() {
    driver::run("config", Vec::new(), json::parse, json::text, target);
}
