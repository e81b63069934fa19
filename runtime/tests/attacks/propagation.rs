//! Mounts made inside a container stay there, also below a volume whose mount on the host is shared, as everything is on a
//! machine with systemd: "nothing appears on the host".

use std::process::Command;

use crate::bundle::{Bundle, DEFAULT_CAPABILITIES};
use crate::payload;
use crate::runtimes::{Runtime, attack};

/// Runs a container with CAP_SYS_ADMIN in a mount namespace in which the volume's mount is shared, and looks for what it
/// mounted there.
fn seen_outside(bundle: &Bundle) -> String {
    bundle.write_config();
    let script = format!(
        "mount -t tmpfs none '{volume}' && mount --make-shared '{volume}' && mkdir '{volume}/below' && \
         \"$@\"; grep -c '{volume}/below' /proc/self/mountinfo",
        volume = bundle.path("volume").display()
    );
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", &script, "sh"])
        .args(bundle.runtime.words());
    command.arg("--root").arg(bundle.path("state"));
    command.args(["run", "-b", bundle.bundle_argument(), &bundle.id]);
    Bundle::outcome(&mut command).text
}

/// With the options that a caller may give who does not think of propagation.
fn of_mounts_inside(runtime: &Runtime) {
    for options in [
        &["bind"][..],
        &["rbind"],
        &["rbind", "rw"],
        &["rbind", "rprivate"],
        &["rbind", "rslave"],
    ] {
        let mut bundle = Bundle::shell(
            runtime,
            "mount -t tmpfs none /volume/below && echo mounted; sleep 0.2",
        );
        std::fs::create_dir(bundle.path("volume")).unwrap();
        let source = bundle.path("volume");
        bundle.mount("/volume", "bind", source.to_str().unwrap(), options);
        let mut capabilities = DEFAULT_CAPABILITIES.to_vec();
        capabilities.push("CAP_SYS_ADMIN");
        bundle.capabilities(&capabilities);
        let text = seen_outside(&bundle);
        assert!(text.contains("mounted\n"), "{options:?}: {text}");
        assert!(
            text.trim().ends_with("\n0") || text.contains("\n0\n"),
            "{options:?}: the host sees it: {text}"
        );
    }
}
attack!(of_mounts_inside);

/// What asks for it does propagate: the host is looked at rightly.
#[test]
fn control() {
    let Some(_) = payload::compile("naive") else {
        return;
    };
    let bundle = Bundle::new(&Runtime::keelson(), &["true"]);
    std::fs::create_dir(bundle.path("volume")).unwrap();
    let script = format!(
        "mount -t tmpfs none '{volume}' && mount --make-shared '{volume}' && mkdir '{volume}/below' && \
         unshare -m --propagation unchanged mount -t tmpfs none '{volume}/below'; grep -c '{volume}/below' /proc/self/mountinfo",
        volume = bundle.path("volume").display()
    );
    let text = Bundle::outcome(Command::new("unshare").args(["-m", "sh", "-c", &script])).text;
    assert_eq!(text.trim(), "1");
}
